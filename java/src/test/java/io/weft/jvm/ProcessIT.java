// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static io.weft.jvm.Riders.joinAll;

import io.weft.Kthd;
import io.weft.Lwt;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An lwt starts processes, by every way the JDK has, beside lwts that switch meanwhile. */
class ProcessIT {
    @ParameterizedTest
    @ValueSource(strings = {"POSIX_SPAWN", "VFORK", "FORK"})
    void anLwtStartsProcesses(String mechanism) throws Exception {
        ForkedJvm.of(ProcessIT.class, "start")
                .flag("-Djdk.lang.Process.launchMechanism=" + mechanism)
                .within(Duration.ofSeconds(60))
                .run()
                .expectOk();
    }

    // ---- the case, in a JVM of its own -----------------------------------------------------------------------------

    static void start(String[] args) throws Exception {
        try (Kthd kthd = Kthd.start();
                Kthd other = Kthd.start()) {
            List<Lwt<Void>> starters = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                int code = i;
                starters.add(Riders.ride(kthd, "starter" + i, () -> {
                    for (int round = 0; round < 5; round++) {
                        echo("hello " + round, code);
                        Lwt.migrate(round % 2 == 0 ? other : kthd);
                    }
                }));
            }
            Lwt<Void> killer = Riders.ride(other, "killer", () -> {
                Process sleeper = new ProcessBuilder("sleep", "60").start();
                Lwt.yield();
                sleeper.destroy();
                check(sleeper.waitFor(10, TimeUnit.SECONDS), "a destroyed process ends");
                check(sleeper.exitValue() == 143, "by the signal");
            });
            joinAll(starters);
            killer.join();
        }
    }

    private static void echo(String text, int code) throws Exception {
        Process process = new ProcessBuilder("sh", "-c", "cat; exit " + code)
                .redirectErrorStream(true)
                .start();
        process.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
        process.getOutputStream().close();
        Lwt.yield();
        String echo = new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
        check(echo.equals(text), "its output came: " + echo);
        check(process.waitFor() == code, "its exit code came");
    }
}

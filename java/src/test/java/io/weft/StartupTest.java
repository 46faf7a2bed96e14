// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is said at the start about the VM's blocking; in a JVM of its own each, by {@link #main}. */
@Timeout(value = 120, unit = TimeUnit.SECONDS)
class StartupTest {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 2; i++) {
            try (Kthd kthd = Kthd.start()) {
                System.out.println("result " + kthd.spawn(() -> 42).join());
            }
        }
    }

    @Test
    void withTheHookNothingIsSaid() throws Exception {
        String output = run();
        assertFalse(output.contains("WARNING"), output);
        assertTrue(output.contains("result 42"), output);
    }

    @Test
    void withoutTheHookThereIsOneWarningAndLwtsRun() throws Exception {
        String output = run("-Dweft.hook=off");
        assertEquals(1, output.split("WARNING", -1).length - 1, output);
        assertTrue(output.contains("result 42"), output);
    }

    private static String run(String... flags) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path")));
        command.addAll(List.of(flags));
        String library = System.getProperty("weft.library.dir");
        if (library != null) {
            command.add("-Dweft.library.dir=" + library);
        }
        command.add(StartupTest.class.getName());
        Process jvm = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(jvm.getInputStream().readAllBytes());
        assertEquals(0, jvm.waitFor(), output);
        return output;
    }
}

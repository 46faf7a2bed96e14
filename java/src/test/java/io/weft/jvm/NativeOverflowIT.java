// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.weft.Kthd;
import io.weft.Lwt;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * weft's fault handler and the VM's get on with each other: a native lwt that outgrows its stack ends the process with
 * a message that names it, and every fault that the VM raises for its own purposes goes to the VM. Needs a C compiler,
 * for a function that never returns.
 */
class NativeOverflowIT {
    private static final String SOURCE =
            """
            void *deeper(void *from)
            {
                volatile char frame[256];
                frame[0] = 1;
                void *r = deeper((void *)frame);
                return frame[0] ? r : from;
            }
            void *nothing(void *arg) { return arg; }
            """;

    @TempDir
    Path folder;

    @Test
    void anOverflowingNativeLwtIsNamed() throws Exception {
        ForkedJvm.Result result =
                ForkedJvm.of(NativeOverflowIT.class, "overflow", compiled()).run();
        assertNotEquals(0, result.exitCode());
        assertFalse(result.timedOut());
        result.expectOutput("weft: stack overflow: lwt 0x").expectOutput("\"bottomless\" on kthd \"abyss\"");
    }

    @Test
    void theVmStillHandlesItsOwnFaults() throws Exception {
        ForkedJvm.of(NativeOverflowIT.class, "faultsOfTheVm", compiled()).run().expectOk();
    }

    private String compiled() throws Exception {
        Path source = Files.writeString(folder.resolve("deeper.c"), SOURCE);
        Path library = folder.resolve("libdeeper.so");
        String said;
        try {
            said = ForkedJvm.outputOf(
                    List.of(
                            System.getProperty("weft.cc", "gcc"),
                            "-O0",
                            "-shared",
                            "-fPIC",
                            "-w",
                            "-o",
                            library.toString(),
                            source.toString()),
                    Duration.ofSeconds(20));
        } catch (IOException e) {
            said = e.toString();
        }
        assumeTrue(Files.exists(library), "no C compiler: " + said);
        return library.toString();
    }

    // ---- the cases, in a JVM of their own --------------------------------------------------------------------------

    static void overflow(String[] args) throws Exception {
        SymbolLookup library = SymbolLookup.libraryLookup(args[0], Arena.global());
        MemorySegment deeper = library.find("deeper").orElseThrow();
        try (Kthd kthd = Kthd.builder().name("abyss").start()) {
            kthd.spawnNative("bottomless", deeper, 0).join();
        }
    }

    static void faultsOfTheVm(String[] args) throws Exception {
        SymbolLookup library = SymbolLookup.libraryLookup(args[0], Arena.global());
        MemorySegment nothing = library.find("nothing").orElseThrow();
        try (Kthd kthd = Kthd.start()) {
            Riders.check(kthd.spawnNative(nothing, 42).join() == 42, "the handler is in place");
            Lwt<Integer> onTheCarrier = kthd.spawn(NativeOverflowIT::faults);
            Riders.check(onTheCarrier.join() == 200, "faults of an lwt are exceptions");
            Riders.check(faults() == 200, "and those of a plain thread");
        }
    }

    /** Null checks and stack overflows, which the VM finds by faulting. */
    private static int faults() {
        int caught = 0;
        for (int i = 0; i < 100; i++) {
            Object nothing = i >= 0 ? null : "";
            try {
                nothing.hashCode();
            } catch (NullPointerException expected) {
                caught++;
            }
            try {
                endless(i);
            } catch (StackOverflowError expected) {
                caught++;
            }
            Lwt.yield();
        }
        return caught;
    }

    private static long endless(long depth) {
        return endless(depth + 1) + 1;
    }
}

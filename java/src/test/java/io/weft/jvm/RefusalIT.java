// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.weft.Kthd;
import io.weft.Lwt;
import io.weft.WeftUnavailableException;
import io.weft.ffi.LwtCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What cannot work is refused in one sentence, and the VM goes on. */
class RefusalIT {
    @Test
    void aVirtualThreadIsNotAdopted() throws Exception {
        ForkedJvm.of(RefusalIT.class, "virtualThread").run().expectOk();
    }

    @Test
    void javaCodeIsNotRunOnANativeLwt() throws Exception {
        ForkedJvm.of(RefusalIT.class, "upcallStub").run().expectOk();
    }

    /** The sanitizer's runtime alone is in the process, as LD_PRELOAD brings it there. */
    @ParameterizedTest
    @ValueSource(strings = {"libasan.so AddressSanitizer", "libtsan.so ThreadSanitizer"})
    void aSanitizerInTheProcessIsRefused(String which) throws Exception {
        String[] words = which.split(" ");
        ForkedJvm.Result result = withSanitizer(words[0], "unavailable").run();
        assumeTrue(result.output().contains("the VM is up"), "the VM does not start with " + words[0]);
        result.expectOk().expectOutput(words[1]).expectOutput("WEFT_ALLOW_SANITIZER");
    }

    @Test
    void aSanitizerInTheProcessCanBeAllowed() throws Exception {
        ForkedJvm.Result result = withSanitizer("libasan.so", "available")
                .environment("WEFT_ALLOW_SANITIZER", "1")
                .run();
        assumeTrue(result.output().contains("the VM is up"), "the VM does not start with libasan.so");
        result.expectOk();
    }

    private static ForkedJvm withSanitizer(String library, String method) throws Exception {
        String path = ForkedJvm.outputOf(
                        List.of(System.getProperty("weft.cc", "gcc"), "-print-file-name=" + library),
                        Duration.ofSeconds(10))
                .trim();
        assumeTrue(path.startsWith("/") && Files.exists(Path.of(path)), "this machine has no " + library);
        return ForkedJvm.of(RefusalIT.class, method)
                .environment("LD_PRELOAD", path)
                .environment("ASAN_OPTIONS", "detect_leaks=0:handle_segv=0:allow_user_segv_handler=1");
    }

    // ---- the cases, in a JVM of their own --------------------------------------------------------------------------

    static void virtualThread(String[] args) throws Exception {
        try (Kthd kthd = Kthd.start()) {
            Throwable[] thrown = new Throwable[1];
            Thread.ofVirtual()
                    .start(() -> {
                        try {
                            kthd.adopt().close();
                        } catch (UnsupportedOperationException e) {
                            thrown[0] = e;
                        }
                    })
                    .join();
            check(thrown[0] != null && thrown[0].getMessage().contains("virtual"), "refused with a reason");
            check(kthd.spawn(() -> 42).join() == 42, "the kthd runs on");
        }
    }

    private static long intoJava(long argument) {
        throw new AssertionError("Java code ran on a native lwt");
    }

    static void upcallStub(String[] args) throws Exception {
        MethodHandle target = MethodHandles.lookup()
                .findStatic(RefusalIT.class, "intoJava", MethodType.methodType(long.class, long.class));
        try (Kthd kthd = Kthd.start();
                Arena arena = Arena.ofShared()) {
            MemorySegment stub = Linker.nativeLinker()
                    .upcallStub(target, FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG), arena);
            for (int i = 0; i < 2; i++) {
                try {
                    kthd.spawnNative(stub, 1);
                    throw new AssertionError("an upcall stub was taken for a C function");
                } catch (IllegalArgumentException expected) {
                    check(expected.getMessage() != null, "with a sentence");
                }
            }
            MemorySegment labs = Linker.nativeLinker().defaultLookup().find("labs").orElseThrow();
            check(kthd.spawnNative(labs, -42).join() == 42, "a C function is taken");
        }
    }

    static void unavailable(String[] args) {
        System.out.println("the VM is up");
        try {
            Kthd.start();
            throw new AssertionError("it was not refused");
        } catch (WeftUnavailableException e) {
            System.out.println(e.getMessage());
        }
    }

    static void available(String[] args) throws Exception {
        System.out.println("the VM is up");
        try (Kthd kthd = Kthd.start()) {
            Lwt<Integer> lwt = kthd.spawn(() -> {
                for (int i = 0; i < 1000; i++) {
                    LwtCalls.yield();
                }
                return 42;
            });
            check(lwt.join() == 42, "lwts run");
        }
    }
}

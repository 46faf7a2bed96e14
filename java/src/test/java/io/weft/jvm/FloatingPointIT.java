// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static io.weft.jvm.Riders.joinAll;

import io.weft.Kthd;
import io.weft.Lwt;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * A rounding mode that native code sets stays with its lwt: the control words of the processor are switched with it.
 * The C library's fesetround() writes both, MXCSR and the x87 control word.
 */
class FloatingPointIT {
    private static final int[] ROUNDING = {0 /* to nearest */, 0x400 /* down */, 0x800 /* up */, 0xc00 /* to zero */};

    @Test
    void aRoundingModeStaysWithItsLwt() throws Exception {
        ForkedJvm.of(FloatingPointIT.class, "rounding").run().expectOk();
    }

    // ---- the case, in a JVM of its own -----------------------------------------------------------------------------

    static void rounding(String[] args) throws Exception {
        SymbolLookup math = SymbolLookup.libraryLookup("libm.so.6", Arena.global());
        MethodHandle set = handle(math, "fesetround", ValueLayout.JAVA_INT);
        MethodHandle get = handle(math, "fegetround");
        List<Lwt<Void>> riders = new ArrayList<>();
        try (Kthd left = Kthd.start();
                Kthd right = Kthd.start()) {
            for (int i = 0; i < 12; i++) {
                int mode = ROUNDING[i % ROUNDING.length];
                riders.add(Riders.ride(i % 2 == 0 ? left : right, "rider" + i, () -> {
                    check(call(get) == 0, "a new thread rounds to nearest");
                    call(set, mode);
                    for (int round = 0; round < 5000; round++) {
                        if (round % 10 == 0) {
                            Lwt.migrate(round % 20 == 0 ? left : right);
                        } else {
                            Lwt.yield();
                        }
                        check(call(get) == mode, "the rounding mode is still one's own");
                    }
                    call(set, 0); // the thread goes back to the pool
                }));
            }
            joinAll(riders);
        }
    }

    private static MethodHandle handle(SymbolLookup library, String name, ValueLayout.OfInt... parameters) {
        return Linker.nativeLinker()
                .downcallHandle(
                        library.find(name).orElseThrow(),
                        FunctionDescriptor.of(ValueLayout.JAVA_INT, parameters));
    }

    private static int call(MethodHandle handle, Object... arguments) throws Exception {
        try {
            return (int) handle.invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}

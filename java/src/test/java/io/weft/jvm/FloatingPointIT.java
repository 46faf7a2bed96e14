// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static io.weft.jvm.Riders.joinAll;

import io.weft.Kthd;
import io.weft.Lwt;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * A rounding mode that native code sets stays with its lwt: the control words of the processor are switched with it.
 * The C library's fesetround() writes both of them; fegetround() reads the x87 control word, and rint() rounds as MXCSR
 * says.
 */
class FloatingPointIT {
    /** How fesetround() names a mode, and what it makes of 2.5, -2.5 and 2.7. */
    private enum Mode {
        NEAREST(0, 2, -2, 3),
        DOWN(0x400, 2, -3, 2),
        UP(0x800, 3, -2, 3),
        TO_ZERO(0xc00, 2, -2, 2);

        final int number;
        final double[] rounded;

        Mode(int number, double... rounded) {
            this.number = number;
            this.rounded = rounded;
        }
    }

    @Test
    void aRoundingModeStaysWithItsLwt() throws Exception {
        ForkedJvm.of(FloatingPointIT.class, "rounding").run().expectOk();
    }

    // ---- the case, in a JVM of its own -----------------------------------------------------------------------------

    static void rounding(String[] args) throws Exception {
        Rounding rounding = new Rounding();
        List<Lwt<Void>> riders = new ArrayList<>();
        try (Kthd left = Kthd.start();
                Kthd right = Kthd.start()) {
            for (int i = 0; i < 12; i++) {
                Mode mode = Mode.values()[i % 4];
                riders.add(Riders.ride(i % 2 == 0 ? left : right, "rider" + i, () -> {
                    check(rounding.is(Mode.NEAREST), "a new thread rounds to nearest");
                    rounding.set(mode);
                    for (int round = 0; round < 5000; round++) {
                        if (round % 10 == 0) {
                            Lwt.migrate(round % 20 == 0 ? left : right);
                        } else {
                            Lwt.yield();
                        }
                        check(rounding.is(mode), "the rounding mode is still one's own");
                    }
                    rounding.set(Mode.NEAREST); // the thread goes back to the pool
                }));
            }
            joinAll(riders);
        }
    }

    /** The calling thread's rounding mode, by way of the C library. */
    private static final class Rounding {
        private static final SymbolLookup MATH = SymbolLookup.libraryLookup("libm.so.6", Arena.global());

        private final MethodHandle set =
                handle("fesetround", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
        private final MethodHandle get = handle("fegetround", FunctionDescriptor.of(ValueLayout.JAVA_INT));
        private final MethodHandle round =
                handle("rint", FunctionDescriptor.of(ValueLayout.JAVA_DOUBLE, ValueLayout.JAVA_DOUBLE));

        private static MethodHandle handle(String name, FunctionDescriptor descriptor) {
            return Linker.nativeLinker().downcallHandle(MATH.find(name).orElseThrow(), descriptor);
        }

        void set(Mode mode) {
            try {
                check((int) set.invokeExact(mode.number) == 0, "the mode can be set");
            } catch (Throwable e) {
                throw new AssertionError(e);
            }
        }

        boolean is(Mode mode) {
            try {
                return (int) get.invokeExact() == mode.number
                        && (double) round.invokeExact(2.5) == mode.rounded[0]
                        && (double) round.invokeExact(-2.5) == mode.rounded[1]
                        && (double) round.invokeExact(2.7) == mode.rounded[2];
            } catch (Throwable e) {
                throw new AssertionError(e);
            }
        }
    }
}

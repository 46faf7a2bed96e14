// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Makes the method handles of the {@code XCalls} classes, and keeps the table of what was made: the C prototypes that
 * a test holds against the headers.
 *
 * <p>A handle is linked even when the library could not be loaded; it then throws the kept {@link LibraryException}.
 * So a missing library is reported at each first use in the same words, never as a {@code NoClassDefFoundError}.
 */
final class Downcalls {
    /** One bound function. */
    record Function(String name, CType result, List<CType> parameters, boolean critical) {}

    private static final Linker LINKER = Linker.nativeLinker();
    private static final List<Function> TABLE = new ArrayList<>();

    private Downcalls() {}

    /** Links a function that may block, switch or take its time: an ordinary downcall, during which the thread is
     * "in native" for the VM and may be suspended there for as long as it takes. */
    static MethodHandle link(String name, CType result, CType... parameters) {
        return link(new Function(name, result, List.of(parameters), false));
    }

    /**
     * Links a function without the thread's change of state, which halves the cost of the call. The thread stays "in
     * Java": a switch in there would hang every safepoint of the VM. So this is for functions that never block,
     * never switch and never take long, and only for these:
     *
     * <pre>
     * weft_abi_version weft_abi_now_ns weft_abi_self     read a constant, a clock, a thread-local
     * weft_lwt_id weft_lwt_current weft_kthd_current     read a thread-local
     * weft_error_text                                    looks a constant up
     * weft_op_poll                                       one load
     * weft_chan_send_now_as weft_chan_recv_now_as        some tens of instructions, no lock, no system call
     * weft_kthd_attr_init weft_lwt_attr_init             fill a struct
     * weft_chan_attr_init                                the same
     * weft_jvm_signals_forwarded weft_jvm_steps_aside    read a counter
     * </pre>
     */
    static MethodHandle linkCritical(String name, CType result, CType... parameters) {
        return link(new Function(name, result, List.of(parameters), true));
    }

    /** Every function linked so far. */
    static synchronized List<Function> functions() {
        return List.copyOf(TABLE);
    }

    /** What a downcall's {@code invokeExact} can throw is unchecked; passes it on as it is. */
    static RuntimeException unchecked(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        if (thrown instanceof RuntimeException exception) {
            throw exception;
        }
        throw new AssertionError(thrown);
    }

    @SuppressWarnings("restricted")
    private static synchronized MethodHandle link(Function function) {
        TABLE.add(function);
        FunctionDescriptor descriptor = descriptor(function);
        MemorySegment symbol;
        try {
            symbol = Library.symbol(function.name());
        } catch (LibraryException failure) {
            return thrower(descriptor.toMethodType(), failure);
        }
        return function.critical()
                ? LINKER.downcallHandle(symbol, descriptor, Linker.Option.critical(false))
                : LINKER.downcallHandle(symbol, descriptor);
    }

    static FunctionDescriptor descriptor(Function function) {
        MemoryLayout[] parameters =
                function.parameters().stream().map(CType::layout).toArray(MemoryLayout[]::new);
        return function.result() == CType.VOID
                ? FunctionDescriptor.ofVoid(parameters)
                : FunctionDescriptor.of(function.result().layout(), parameters);
    }

    private static MethodHandle thrower(MethodType type, LibraryException failure) {
        MethodHandle thrower = MethodHandles.throwException(type.returnType(), LibraryException.class).bindTo(failure);
        return MethodHandles.dropArguments(thrower, 0, Arrays.asList(type.parameterArray()));
    }
}

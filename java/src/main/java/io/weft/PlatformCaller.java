// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.EINPROGRESS;
import static io.weft.ffi.Errno.EINTR;

import io.weft.ffi.CgrpCalls;
import io.weft.ffi.ChanCalls;
import io.weft.ffi.Layouts;
import io.weft.ffi.OpCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.locks.LockSupport;

/**
 * A plain platform thread: starts the operation on an off-heap {@code struct weft_op} of its own, and if it cannot
 * complete at once sleeps for it in the kernel. An interrupt withdraws it.
 */
final class PlatformCaller extends Caller {
    private final Thread thread;

    /** Freed when this caller, and so the thread, is gone. Between operations it serves for results of try-forms. */
    private final MemorySegment op = Arena.ofAuto().allocate(Layouts.OP.byteSize(), Layouts.OP_ALIGNMENT);

    /** What it sleeps for: {@link #op}, or a select's. */
    private MemorySegment awaited = op;

    private Interruption interruption = new Interruption(this::cancel);

    PlatformCaller(Thread thread) {
        this.thread = thread;
    }

    @Override
    int send(long chan, long word, long deadline) throws InterruptedException {
        throwIfInterrupted();
        return finish(OpCalls.chanSendStart(chan, word, op, 0), deadline);
    }

    @Override
    int receive(long chan, long deadline) throws InterruptedException {
        throwIfInterrupted();
        return finish(OpCalls.chanRecvStart(chan, op, 0), deadline);
    }

    @Override
    int claim(long chan, long deadline) throws InterruptedException {
        throwIfInterrupted();
        return finish(OpCalls.chanClaimStart(chan, op, 0), deadline);
    }

    @Override
    int take(long chan, long deadline) throws InterruptedException {
        throwIfInterrupted();
        return finish(OpCalls.chanTakeStart(chan, op, 0), deadline);
    }

    @Override
    int await(long cgrp, long deadline) throws InterruptedException {
        throwIfInterrupted();
        return finish(OpCalls.cgrpWaitStart(cgrp, op, 0), deadline);
    }

    @Override
    int select(Select select, long deadline) throws InterruptedException {
        throwIfInterrupted();
        int code = select.start(0);
        if (code != -EINPROGRESS) {
            return code;
        }
        awaited = select.op();
        try {
            sleep(deadline);
        } finally {
            awaited = op;
        }
        code = select.finish();
        if (code == -EINTR) {
            Thread.interrupted();
            throw new InterruptedException();
        }
        return code;
    }

    @Override
    int tryReceive(long chan) {
        int code = ChanCalls.tryRecv(chan, op);
        value = op.get(ValueLayout.JAVA_LONG, 0);
        return code;
    }

    @Override
    int receiveNow(long chan) {
        return withdraw(OpCalls.chanRecvStart(chan, op, 0));
    }

    @Override
    int takeNow(long chan) {
        return withdraw(OpCalls.chanTakeStart(chan, op, 0));
    }

    @Override
    int tryAwait(long cgrp) {
        int code = CgrpCalls.tryWait(cgrp, op);
        value = op.get(ValueLayout.JAVA_LONG, Layouts.EVENT_CHAN);
        mark = op.get(ValueLayout.JAVA_LONG, Layouts.EVENT_MARK);
        return code;
    }

    @Override
    void park(long deadline) {
        if (deadline == Deadline.NEVER) {
            LockSupport.park(this);
        } else {
            LockSupport.parkNanos(this, Deadline.remaining(deadline));
        }
    }

    @Override
    void unpark() {
        LockSupport.unpark(thread);
    }

    private int finish(int started, long deadline) throws InterruptedException {
        int code = started == -EINPROGRESS ? sleep(deadline) : started;
        if (code == -EINTR) {
            // Only our own cancel gives this code, and only on an interrupt.
            Thread.interrupted();
            throw new InterruptedException();
        }
        value = op.get(ValueLayout.JAVA_LONG, Layouts.OP_VALUE);
        mark = op.get(ValueLayout.JAVA_LONG, Layouts.OP_MARK);
        return code;
    }

    private int withdraw(int started) {
        int code = started;
        if (started == -EINPROGRESS) {
            code = OpCalls.cancel(op, -EAGAIN) == 0 ? -EAGAIN : OpCalls.await(op, Deadline.NEVER);
        }
        value = op.get(ValueLayout.JAVA_LONG, Layouts.OP_VALUE);
        return code;
    }

    private int sleep(long deadline) {
        interruption.enter();
        try {
            return OpCalls.await(awaited, deadline);
        } finally {
            if (interruption.leave()) {
                interruption = new Interruption(this::cancel);
            }
        }
    }

    /** Runs in the interrupting thread. If the operation has completed by now its result stands. */
    private void cancel() {
        OpCalls.cancel(awaited, -EINTR);
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EAGAIN;
import static io.weft.ffi.Errno.EINPROGRESS;
import static io.weft.ffi.Errno.EINTR;
import static io.weft.ffi.Errno.ETIMEDOUT;
import static io.weft.ffi.Errno.EUSERS;

import io.weft.ffi.CgrpCalls;
import io.weft.ffi.ChanCalls;
import io.weft.ffi.OpCalls;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.LockSupport;

/**
 * A virtual thread. It never sleeps in a downcall, which would pin its carrier: an operation that cannot complete at
 * once is started with a token, and the thread parks until {@link Unparker} has seen that token. Made anew for each
 * operation; the off-heap part is borrowed.
 */
final class VirtualCaller extends Caller {
    private final Thread thread;

    VirtualCaller(Thread thread) {
        this.thread = thread;
    }

    @Override
    int send(long chan, long word, long deadline) throws InterruptedException {
        throwIfInterrupted();
        int code = ChanCalls.trySend(chan, word);
        // EUSERS: a ring, the caller's by Java's account, of whom C does not know who it is.
        if (code != -EAGAIN && code != -EUSERS) {
            return code;
        }
        Unparker.Op op = Unparker.borrow(thread);
        return finish(op, OpCalls.chanSendStart(chan, word, op.memory, op.token), deadline);
    }

    @Override
    int receive(long chan, long deadline) throws InterruptedException {
        throwIfInterrupted();
        Unparker.Op op = Unparker.borrow(thread);
        return finish(op, OpCalls.chanRecvStart(chan, op.memory, op.token), deadline);
    }

    @Override
    int claim(long chan, long deadline) throws InterruptedException {
        throwIfInterrupted();
        Unparker.Op op = Unparker.borrow(thread);
        return finish(op, OpCalls.chanClaimStart(chan, op.memory, op.token), deadline);
    }

    @Override
    int take(long chan, long deadline) throws InterruptedException {
        throwIfInterrupted();
        Unparker.Op op = Unparker.borrow(thread);
        return finish(op, OpCalls.chanTakeStart(chan, op.memory, op.token), deadline);
    }

    @Override
    int await(long cgrp, long deadline) throws InterruptedException {
        throwIfInterrupted();
        Unparker.Op op = Unparker.borrow(thread);
        return finish(op, OpCalls.cgrpWaitStart(cgrp, op.memory, op.token), deadline);
    }

    @Override
    int select(Select select, long deadline) throws InterruptedException {
        throwIfInterrupted();
        Unparker.Op op = Unparker.borrow(thread);
        int code = select.start(op.token);
        if (code == -EINPROGRESS) {
            sleep(op, select.op(), deadline);
            code = select.finish();
        }
        op.giveBack();
        if (code == -EINTR) {
            Thread.interrupted();
            throw new InterruptedException();
        }
        return code;
    }

    @Override
    int tryReceive(long chan) {
        Unparker.Op op = Unparker.borrow(thread);
        int code = ChanCalls.tryRecv(chan, op.memory);
        take(op);
        return code;
    }

    @Override
    int receiveNow(long chan) {
        Unparker.Op op = Unparker.borrow(thread);
        return withdraw(op, OpCalls.chanRecvStart(chan, op.memory, op.token));
    }

    @Override
    int takeNow(long chan) {
        Unparker.Op op = Unparker.borrow(thread);
        return withdraw(op, OpCalls.chanTakeStart(chan, op.memory, op.token));
    }

    @Override
    int tryAwait(long cgrp) {
        Unparker.Op op = Unparker.borrow(thread);
        int code = CgrpCalls.tryWait(cgrp, op.memory);
        take(op);
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

    private int finish(Unparker.Op op, int started, long deadline) throws InterruptedException {
        int code = started;
        boolean interrupted = false;
        if (started == -EINPROGRESS) {
            code = sleep(op, op.memory, deadline);
            interrupted = code == -EINTR;
        }
        take(op);
        if (interrupted) {
            Thread.interrupted();
            throw new InterruptedException();
        }
        return code;
    }

    private int withdraw(Unparker.Op op, int started) {
        int code = started;
        if (started == -EINPROGRESS) {
            if (OpCalls.cancel(op.memory, -EAGAIN) == 0) {
                code = -EAGAIN;
            } else {
                awaitAnnouncement(op);
                code = OpCalls.poll(op.memory);
            }
        }
        take(op);
        return code;
    }

    /** Parks until the operation has completed, or withdraws it on an interrupt or when its time has come. */
    private int sleep(Unparker.Op op, MemorySegment memory, long deadline) {
        while (!op.announced) {
            int reason = thread.isInterrupted() ? -EINTR : Deadline.isPast(deadline) ? -ETIMEDOUT : 0;
            if (reason == 0) {
                park(deadline);
            } else if (OpCalls.cancel(memory, reason) == 0) {
                return reason;
            } else {
                awaitAnnouncement(op);
            }
        }
        return OpCalls.poll(memory);
    }

    /** It completed before it could be withdrawn: its token is on the way, and until then the memory is C's. */
    private static void awaitAnnouncement(Unparker.Op op) {
        boolean interrupted = Thread.interrupted();
        while (!op.announced) {
            LockSupport.park(op);
            interrupted |= Thread.interrupted();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void take(Unparker.Op op) {
        value = op.value();
        mark = op.mark();
        op.giveBack();
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static io.weft.ffi.Errno.EINTR;

import io.weft.ffi.AbiCalls;
import io.weft.ffi.CgrpCalls;
import io.weft.ffi.ChanCalls;
import io.weft.ffi.Layouts;
import io.weft.ffi.LwtCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * An lwt: waiting is a switch to the next lwt of its kthd.
 *
 * <p>An interrupt reaches C as {@code weft_lwt_interrupt}, after the thread's interrupt status was set. C's memory of
 * it may outlive the status (somebody cleared it), so a wait that ends by {@code EINTR} without that status is simply
 * taken up again. A status without C's memory of it is seen on entry.
 */
sealed class LwtCaller extends Caller permits AdoptedCaller {
    /** The lwt's control block; valid until it leaves. */
    final long self;

    /** The lwt's handle. */
    final long handle;

    private MemorySegment scratch;

    LwtCaller(long self, long handle) {
        this.self = self;
        this.handle = handle;
    }

    /**
     * Sends a word from the lwt with this control block; waits. First by the call that does not leave Java: it costs a
     * third of the other, and of two lwts that exchange messages every second operation finds its partner waiting.
     */
    static int sendWord(long self, long chan, long word) {
        int code = AbiCalls.chanSendNowAs(self, chan, word);
        return code == 0 ? 0 : AbiCalls.chanSendAs(self, chan, word, Deadline.NEVER);
    }

    /** Receives a word to the control block; waits. The same in the other direction. */
    static int receiveWord(long self, long chan) {
        int code = AbiCalls.chanRecvNowAs(self, chan);
        return code == 0 ? 0 : AbiCalls.chanRecvAs(self, chan, Deadline.NEVER);
    }

    /** Brackets a wait that shall be interruptible; a {@link LwtThread} needs nothing. */
    void enterWait() {}

    void leaveWait() {}

    @Override
    final int send(long chan, long word, long deadline) throws InterruptedException {
        int code;
        do {
            throwIfInterrupted();
            enterWait();
            try {
                code = AbiCalls.chanSendAs(self, chan, word, deadline);
            } finally {
                leaveWait();
            }
        } while (code == -EINTR);
        return code;
    }

    @Override
    final int receive(long chan, long deadline) throws InterruptedException {
        int code;
        do {
            throwIfInterrupted();
            enterWait();
            try {
                code = AbiCalls.chanRecvAs(self, chan, deadline);
            } finally {
                leaveWait();
            }
        } while (code == -EINTR);
        value = Layouts.word(self, Layouts.SELF_VALUE);
        return code;
    }

    @Override
    final int claim(long chan, long deadline) throws InterruptedException {
        int code;
        do {
            throwIfInterrupted();
            enterWait();
            try {
                code = AbiCalls.chanClaimAs(self, chan, deadline);
            } finally {
                leaveWait();
            }
        } while (code == -EINTR);
        value = Layouts.word(self, Layouts.SELF_VALUE);
        return code;
    }

    @Override
    final int take(long chan, long deadline) throws InterruptedException {
        int code;
        do {
            throwIfInterrupted();
            enterWait();
            try {
                code = AbiCalls.chanTakeAs(self, chan, deadline);
            } finally {
                leaveWait();
            }
        } while (code == -EINTR);
        value = Layouts.word(self, Layouts.SELF_VALUE);
        return code;
    }

    @Override
    final int await(long cgrp, long deadline) throws InterruptedException {
        int code;
        do {
            throwIfInterrupted();
            enterWait();
            try {
                code = AbiCalls.cgrpWaitAs(self, cgrp, deadline);
            } finally {
                leaveWait();
            }
        } while (code == -EINTR);
        value = Layouts.word(self, Layouts.SELF_VALUE);
        mark = Layouts.word(self, Layouts.SELF_MARK);
        return code;
    }

    @Override
    final int select(Select select, long deadline) throws InterruptedException {
        int code;
        do {
            throwIfInterrupted();
            enterWait();
            try {
                code = select.selectAs(self, deadline);
            } finally {
                leaveWait();
            }
        } while (code == -EINTR);
        return code;
    }

    @Override
    final int tryReceive(long chan) {
        MemorySegment word = scratch();
        int code = ChanCalls.tryRecv(chan, word);
        value = word.get(ValueLayout.JAVA_LONG, 0);
        return code;
    }

    @Override
    final int receiveNow(long chan) {
        int code = AbiCalls.chanRecvAs(self, chan, Deadline.PAST);
        value = Layouts.word(self, Layouts.SELF_VALUE);
        return code;
    }

    @Override
    final int takeNow(long chan) {
        int code = AbiCalls.chanTakeAs(self, chan, Deadline.PAST);
        value = Layouts.word(self, Layouts.SELF_VALUE);
        return code;
    }

    @Override
    final int tryAwait(long cgrp) {
        MemorySegment event = scratch();
        int code = CgrpCalls.tryWait(cgrp, event);
        value = event.get(ValueLayout.JAVA_LONG, Layouts.EVENT_CHAN);
        mark = event.get(ValueLayout.JAVA_LONG, Layouts.EVENT_MARK);
        return code;
    }

    @Override
    final void park(long deadline) {
        enterWait();
        try {
            AbiCalls.lwtParkAs(self, deadline);
        } finally {
            leaveWait();
        }
    }

    @Override
    final void unpark() {
        LwtCalls.unpark(handle);
    }

    private MemorySegment scratch() {
        if (scratch == null) {
            scratch = Arena.ofAuto().allocate(Layouts.EVENT);
        }
        return scratch;
    }
}

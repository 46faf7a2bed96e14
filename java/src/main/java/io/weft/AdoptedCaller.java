// SPDX-License-Identifier: Apache-2.0
package io.weft;

import io.weft.ffi.LwtCalls;

/**
 * A thread that was not made by weft, while it is adopted. {@link Thread#interrupt} of such a thread does not know of
 * weft, so that each wait registers what to do on it.
 */
final class AdoptedCaller extends LwtCaller {
    final AdoptedLwt lwt;

    private Interruption interruption = new Interruption(this::interrupt);

    AdoptedCaller(long self, long handle, AdoptedLwt lwt) {
        super(self, handle);
        this.lwt = lwt;
        // This object is reachable from the thread's thread-locals alone: it goes when the thread has ended.
        AnyChan.CLEANER.register(this, lwt::left);
    }

    @Override
    void enterWait() {
        interruption.enter();
    }

    @Override
    void leaveWait() {
        if (interruption.leave()) {
            interruption = new Interruption(this::interrupt);
        }
    }

    private void interrupt() {
        LwtCalls.interrupt(handle);
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

import io.weft.ffi.LwtCalls;

/**
 * The time during which a thread of your own is an lwt; closing it makes the thread a plain one again.
 *
 * {@snippet :
 * try (Kthd kthd = Kthd.start(); Adoption adoption = kthd.adopt()) {
 *     Lwt.yield();    // the calling thread has its turns on the kthd
 * }
 * }
 *
 * <p>Belongs to the thread that was adopted. Close it in the reverse order of nesting, before the kthd: an open
 * adoption is a live lwt, which {@link Kthd#close} waits for. A thread that ends without closing it leaves by itself,
 * which the kthd learns when the garbage collector has found out.
 */
public final class Adoption implements AutoCloseable {
    private final AdoptedLwt lwt;
    private final Thread thread;
    private boolean open = true;

    Adoption(AdoptedLwt lwt, Thread thread) {
        this.lwt = lwt;
        this.thread = thread;
    }

    /**
     * The lwt that the thread is, or was.
     *
     * @return the lwt; joining it waits for the close
     */
    public Lwt<Void> lwt() {
        return lwt;
    }

    /**
     * Makes the thread a plain thread again, on its own kernel thread. Blocks while that wakes up. Closing twice is
     * harmless.
     *
     * @throws WrongThreadException if the caller is not the thread that was adopted
     */
    @Override
    public void close() {
        if (Thread.currentThread() != thread) {
            throw new WrongThreadException("only the adopted thread itself, " + thread + ", can leave");
        }
        if (open) {
            open = false;
            Errors.check(LwtCalls.leave(), "leaving");
            Caller.leaveAdoption();
            lwt.left();
        }
    }
}

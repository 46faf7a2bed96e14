// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/** A thread of somebody else's making, from adoption to leaving. */
final class AdoptedLwt extends Lwt<Void> {
    private final Thread thread;
    private final AtomicBoolean left = new AtomicBoolean();
    private volatile long handle;

    AdoptedLwt(Kthd kthd, Thread thread, long handle) {
        super(kthd);
        this.thread = thread;
        this.handle = handle;
    }

    /** It is no lwt any more. Harmless the second time. */
    void left() {
        if (left.compareAndSet(false, true)) {
            handle = 0;
            finish();
            kthd().release();
        }
    }

    @Override
    public String name() {
        return thread.getName();
    }

    @Override
    public Optional<Thread> thread() {
        return isAlive() ? Optional.of(thread) : Optional.empty();
    }

    @Override
    public void interrupt() {
        if (isAlive()) {
            thread.interrupt();
        }
    }

    @Override
    public long handle() {
        return handle;
    }
}

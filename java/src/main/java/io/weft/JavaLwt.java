// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Optional;
import java.util.concurrent.Callable;

/**
 * An lwt with a body in Java, which runs on a pooled thread. The thread outlives it, so that an interrupt must not be
 * late: {@code phase} keeps the body from ending while somebody interrupts the thread.
 *
 * <pre>
 *   LIVE <--> INTERRUPTING        any thread, for the duration of Thread.interrupt()
 *    +------> ENDED               its own thread, after the body
 * </pre>
 */
final class JavaLwt<T> extends Lwt<T> {
    private static final int LIVE = 0;
    private static final int INTERRUPTING = 1;
    private static final int ENDED = 2;

    private static final VarHandle PHASE;

    static {
        try {
            PHASE = MethodHandles.lookup().findVarHandle(JavaLwt.class, "phase", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private volatile int phase;

    /** An interrupt may come before the body has begun, when the thread still has the last one's status to clear. */
    private volatile boolean interrupted;

    private volatile LwtThread thread;
    private String name;
    private Callable<? extends T> body;

    JavaLwt(Kthd kthd, String name, Callable<? extends T> body) {
        super(kthd);
        this.name = name;
        this.body = body;
    }

    /** The thread that will run it is known; before it is published. */
    void assignTo(LwtThread worker) {
        thread = worker;
        if (name == null) {
            name = worker.defaultName();
        }
    }

    /** Runs the body on its thread. Whatever the body throws is kept. */
    void run(LwtThread worker) {
        Thread.interrupted();
        if (interrupted) {
            worker.interrupt();
        }
        try {
            succeed(body.call());
        } catch (Throwable thrown) {
            fail(thrown);
        }
        end();
    }

    /** Its body never ran. */
    void abort(Throwable cause) {
        fail(cause);
        end();
        finish();
    }

    private void end() {
        body = null;
        while (!PHASE.compareAndSet(this, LIVE, ENDED)) {
            Lwt.yield();
        }
        thread = null;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public Optional<Thread> thread() {
        return Optional.ofNullable(thread);
    }

    @Override
    public void interrupt() {
        interrupted = true;
        if (PHASE.compareAndSet(this, LIVE, INTERRUPTING)) {
            try {
                thread.interrupt();
            } finally {
                phase = LIVE;
            }
        }
    }

    @Override
    public long handle() {
        LwtThread worker = thread;
        return worker == null ? 0 : worker.handle();
    }

    @Override
    void migrated(Kthd to) {
        super.migrated(to);
        thread.rehome(to);
    }
}

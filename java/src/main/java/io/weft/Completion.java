// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * An event that happens once, and that any number of threads of any kind can wait for. The waiting threads are a
 * lock-free stack; the event replaces the whole stack by {@link #DONE}.
 *
 * <p>What {@link #complete} was told of before happens before what comes after a successful wait: the exchange of
 * {@code waiters} is a release, {@link #isDone} an acquire.
 */
final class Completion {
    private static final Node DONE = new Node(null);
    private static final VarHandle WAITERS;

    static {
        try {
            WAITERS = MethodHandles.lookup().findVarHandle(Completion.class, "waiters", Node.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private volatile Node waiters;

    private static final class Node {
        /** Null after the thread has given up waiting. */
        volatile Caller caller;

        volatile Node next;

        Node(Caller caller) {
            this.caller = caller;
        }
    }

    boolean isDone() {
        return waiters == DONE;
    }

    /** Makes it happen and wakes who waits. Harmless the second time. */
    void complete() {
        Node node = (Node) WAITERS.getAndSet(this, DONE);
        if (node == DONE) {
            return;
        }
        for (; node != null; node = node.next) {
            Caller caller = node.caller;
            if (caller != null) {
                caller.unpark();
            }
        }
    }

    /** Waits until it has happened; false if the deadline came first. */
    boolean await(long deadline) throws InterruptedException {
        Caller.throwIfInterrupted();
        if (isDone()) {
            return true;
        }
        Caller caller = Caller.current();
        Node node = new Node(caller);
        if (!push(node)) {
            return true;
        }
        while (!isDone()) {
            if (Thread.interrupted()) {
                abandon(node);
                throw new InterruptedException();
            }
            if (Deadline.isPast(deadline)) {
                abandon(node);
                return isDone();
            }
            caller.park(deadline);
        }
        return true;
    }

    /** Waits until it has happened, whatever comes; an interrupt is kept for later. */
    void awaitUninterruptibly() {
        boolean interrupted = false;
        while (!isDone()) {
            try {
                await(Deadline.NEVER);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private boolean push(Node node) {
        for (;;) {
            Node head = waiters;
            if (head == DONE) {
                return false;
            }
            node.next = head;
            if (WAITERS.compareAndSet(this, head, node)) {
                return true;
            }
        }
    }

    /**
     * Takes out a node whose thread gave up, and all such: else timed waits for something that never happens would
     * pile up. A node that a race leaves behind is taken out by the next that gives up.
     */
    private void abandon(Node node) {
        node.caller = null;
        Node before = null;
        for (Node n = waiters; n != null && n != DONE; n = n.next) {
            if (n.caller != null) {
                before = n;
            } else if (before != null) {
                before.next = n.next;
            } else if (!WAITERS.compareAndSet(this, n, n.next)) {
                return;
            }
        }
    }
}

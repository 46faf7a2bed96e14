// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/**
 * The idle threads of a kthd: a lock-free stack, so that the thread that was used last, whose stack is still in the
 * caches, is used next. Each push makes a new node: a node that came back would let a compare-and-set succeed that
 * should not.
 */
final class ThreadPool {
    private record Node(LwtThread worker, Node below) {}

    private final int capacity;
    private final AtomicReference<Node> top = new AtomicReference<>();

    /** Never less than what is in the stack; so the bound holds. */
    private final AtomicInteger size = new AtomicInteger();

    ThreadPool(int capacity) {
        this.capacity = capacity;
    }

    /** False if it is full, or there is no memory for it: the thread then ends, in good order. */
    boolean offer(LwtThread worker) {
        if (size.incrementAndGet() > capacity) {
            size.decrementAndGet();
            return false;
        }
        try {
            Node below;
            do {
                below = top.get();
            } while (!top.compareAndSet(below, new Node(worker, below)));
            return true;
        } catch (OutOfMemoryError noNode) {
            size.decrementAndGet();
            return false;
        }
    }

    /** The thread that was pushed last, or null. */
    LwtThread poll() {
        for (;;) {
            Node node = top.get();
            if (node == null) {
                return null;
            }
            if (top.compareAndSet(node, node.below)) {
                size.decrementAndGet();
                return node.worker;
            }
        }
    }

    int size() {
        return size.get();
    }
}

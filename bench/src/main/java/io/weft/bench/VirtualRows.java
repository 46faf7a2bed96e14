// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.SynchronousQueue;

/**
 * Peer: virtual threads.
 *
 * <ul>
 *   <li>yield: {@code Thread.yield()}.
 *   <li>rendezvous: a pair of {@code SynchronousQueue}s and one object that goes round.
 *   <li>create-join: a virtual thread starts another and joins it.
 *   <li>event: the JDK has no wait for one of several queues, and a {@code Selector} would hold the carrier. The
 *       fastest honest equivalent is what a channel group does inside: 100 queues, and one more with the numbers of
 *       those that became ready; the waiter takes a number, then the element.
 * </ul>
 *
 * {@code scripts/bench} starts the local workloads with {@code jdk.virtualThreadScheduler.parallelism=1} and
 * {@code maxPoolSize=1}, where no other carrier is woken to steal, and rendezvous-remote with 2 carriers; there the
 * scheduler decides whether the two threads run side by side. Everything runs inside a virtual thread, the driver too.
 */
final class VirtualRows {

    private VirtualRows() {}

    public static void main(String[] args) throws Exception {
        Sampler sampler = new Sampler("vthread", args);
        Sampler.Run run = switch (sampler.workload()) {
            case "yield-2" -> count -> yieldAmong(2, count);
            case "yield-1000" -> count -> yieldAmong(1000, count);
            case "rendezvous-local", "rendezvous-remote" -> VirtualRows::rendezvous;
            case "create-join" -> VirtualRows::createJoin;
            case "event-100" -> VirtualRows::events;
            default -> throw sampler.unknown();
        };
        sampler.measure(count -> {
            long[] took = new long[1];
            Throwable[] failure = new Throwable[1];
            Thread.ofVirtual()
                    .uncaughtExceptionHandler((_, e) -> failure[0] = e)
                    .start(() -> took[0] = unchecked(run, count))
                    .join();
            if (failure[0] != null) {
                throw new IllegalStateException(failure[0]);
            }
            return took[0];
        });
        switch (sampler.workload()) {
            case "rendezvous-local" -> sampler.note("SynchronousQueue, one carrier");
            case "rendezvous-remote" -> sampler.note("SynchronousQueue, two carriers; the scheduler chooses");
            case "event-100" -> sampler.note("100 ArrayBlockingQueues and a SynchronousQueue of the ready ones");
            default -> {}
        }
    }

    private static long unchecked(Sampler.Run run, long count) {
        try {
            return run.nanos(count);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static long yieldAmong(int threads, long count) throws InterruptedException {
        Thread[] all = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            // none runs before the driver waits: there is one carrier
            all[i] = Thread.ofVirtual().start(() -> {
                for (long left = count / threads; left > 0; left--) {
                    Thread.yield();
                }
            });
        }
        long start = System.nanoTime();
        for (Thread thread : all) {
            thread.join();
        }
        return System.nanoTime() - start;
    }

    private static long rendezvous(long count) throws InterruptedException {
        var requests = new SynchronousQueue<Object>();
        var replies = new SynchronousQueue<Object>();
        Object token = new Object();
        Thread server = Thread.ofVirtual().start(() -> {
            try {
                for (long i = 0; i < count; i++) {
                    replies.put(requests.take());
                }
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        long start = System.nanoTime();
        for (long i = 0; i < count; i++) {
            requests.put(token);
            replies.take();
        }
        long took = System.nanoTime() - start;
        server.join();
        return took;
    }

    private static long createJoin(long count) throws InterruptedException {
        Runnable empty = () -> {};
        long start = System.nanoTime();
        for (long i = 0; i < count; i++) {
            Thread.startVirtualThread(empty).join();
        }
        return System.nanoTime() - start;
    }

    private static long events(long count) throws InterruptedException {
        Integer[] names = new Integer[Sources.COUNT]; // boxed once: no allocation in the loop
        @SuppressWarnings({"unchecked", "rawtypes"})
        ArrayBlockingQueue<Object>[] sources = new ArrayBlockingQueue[Sources.COUNT];
        for (int i = 0; i < Sources.COUNT; i++) {
            names[i] = i;
            sources[i] = new ArrayBlockingQueue<>(1);
        }
        var ready = new SynchronousQueue<Integer>();
        Object token = new Object();
        Thread sender = Thread.ofVirtual().start(() -> {
            try {
                for (long i = 0; i < count; i++) {
                    int source = Sources.of(i);
                    sources[source].put(token);
                    ready.put(names[source]);
                }
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        long start = System.nanoTime();
        for (long i = 0; i < count; i++) {
            int source = ready.take();
            sources[source].take();
            Sources.check(i, source);
        }
        long took = System.nanoTime() - start;
        sender.join();
        return took;
    }
}

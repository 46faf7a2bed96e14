// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import com.lmax.disruptor.BusySpinWaitStrategy;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.YieldingWaitStrategy;
import com.lmax.disruptor.dsl.Disruptor;
import com.lmax.disruptor.dsl.ProducerType;
import io.weft.Chan;
import io.weft.Ends;
import io.weft.Kthd;
import io.weft.Lwt;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;
import org.jctools.queues.MpmcArrayQueue;
import org.jctools.queues.MpscArrayQueue;
import org.jctools.queues.SpscArrayQueue;

/**
 * Streams of objects through a buffer of 1,024 between two processors: nanoseconds per message, sent and received one
 * at a time (batch size 1 on both sides, for all). One object goes through again and again, so nobody allocates. The
 * system property {@code bench.peer} names the subject:
 *
 * <ul>
 *   <li>{@code weft-java}: {@link Chan} with declared ends; the producers are lwts of one kthd, the consumers of
 *       another, each pinned to a processor; they wait by a switch.
 *   <li>{@code jctools}: the queue that JCTools has for these ends; platform threads that spin, or, where there are more
 *       of them than processors, yield.
 *   <li>{@code disruptor}: one or several publishers, one handler; busy spin, or yielding likewise. It has no form for
 *       several consumers that share the messages.
 * </ul>
 */
final class StreamRows {
    private static final int CAPACITY = 1024;
    private static final Object MESSAGE = "message";

    private final int producers;
    private final int consumers;

    private StreamRows(String workload) {
        switch (workload) {
            case "stream-1p1c" -> {
                producers = 1;
                consumers = 1;
            }
            case "stream-4p1c" -> {
                producers = 4;
                consumers = 1;
            }
            case "stream-4p4c" -> {
                producers = 4;
                consumers = 4;
            }
            default -> throw new IllegalArgumentException("no workload " + workload);
        }
    }

    public static void main(String[] args) throws Exception {
        String peer = System.getProperty("bench.peer", "weft-java");
        Sampler sampler = new Sampler(peer, args);
        StreamRows rows = new StreamRows(sampler.workload());
        switch (peer) {
            case "weft-java" -> rows.measureWeft(sampler);
            case "jctools" -> sampler.measure(rows::jctools);
            case "disruptor" -> sampler.measure(rows::disruptor);
            default -> throw sampler.unknown();
        }
    }

    private void measureWeft(Sampler sampler) throws Exception {
        String[] cpus = System.getProperty("bench.cpus", "0,1").split(",");
        try (Kthd here = Kthd.builder().cpu(Integer.parseInt(cpus[0])).start();
                Kthd there = Kthd.builder().cpu(Integer.parseInt(cpus[cpus.length - 1])).start()) {
            sampler.measure(count -> weft(count, here, there));
        }
    }

    private long weft(long count, Kthd here, Kthd there) throws Exception {
        try (Chan<Object> chan = Chan.<Object>builder()
                .capacity(CAPACITY)
                .senders(producers == 1 ? Ends.ONE : Ends.MANY)
                .receivers(consumers == 1 ? Ends.ONE : Ends.MANY)
                .create()) {
            List<Lwt<?>> all = new ArrayList<>();
            long start = System.nanoTime();
            for (int i = 0; i < consumers; i++) {
                all.add(there.spawn((Callable<Void>) () -> {
                    for (long left = count / consumers; left > 0; left--) {
                        chan.receive();
                    }
                    return null;
                }));
            }
            for (int i = 0; i < producers; i++) {
                all.add(here.spawn((Callable<Void>) () -> {
                    for (long left = count / producers; left > 0; left--) {
                        chan.send(MESSAGE);
                    }
                    return null;
                }));
            }
            for (Lwt<?> lwt : all) {
                lwt.join();
            }
            return System.nanoTime() - start;
        }
    }

    private long jctools(long count) throws InterruptedException {
        Queue<Object> queue = producers == 1
                ? new SpscArrayQueue<>(CAPACITY)
                : consumers == 1 ? new MpscArrayQueue<>(CAPACITY) : new MpmcArrayQueue<>(CAPACITY);
        List<Thread> all = new ArrayList<>();
        long start = System.nanoTime();
        for (int i = 0; i < consumers; i++) {
            all.add(Thread.ofPlatform().start(() -> {
                for (long left = count / consumers; left > 0; left--) {
                    while (queue.poll() == null) {
                        idle();
                    }
                }
            }));
        }
        for (int i = 0; i < producers; i++) {
            all.add(Thread.ofPlatform().start(() -> {
                for (long left = count / producers; left > 0; left--) {
                    while (!queue.offer(MESSAGE)) {
                        idle();
                    }
                }
            }));
        }
        for (Thread thread : all) {
            thread.join();
        }
        return System.nanoTime() - start;
    }

    private void idle() {
        if (producers + consumers > 2) {
            Thread.yield();
        } else {
            Thread.onSpinWait();
        }
    }

    /** What a slot of the Disruptor's ring holds. */
    private static final class Slot {
        Object message;
    }

    private long disruptor(long count) throws InterruptedException {
        if (consumers > 1) {
            throw new IllegalArgumentException("the Disruptor has no consumers that share the messages");
        }
        boolean single = producers == 1;
        CountDownLatch done = new CountDownLatch(1);
        ThreadFactory factory = Executors.defaultThreadFactory();
        var disruptor = new Disruptor<>(
                Slot::new,
                CAPACITY,
                factory,
                single ? ProducerType.SINGLE : ProducerType.MULTI,
                single ? new BusySpinWaitStrategy() : new YieldingWaitStrategy());
        disruptor.handleEventsWith((slot, sequence, endOfBatch) -> {
            if (slot.message == MESSAGE && sequence == count - 1) {
                done.countDown();
            }
        });
        RingBuffer<Slot> ring = disruptor.start();
        long start = System.nanoTime();
        for (int i = 0; i < producers; i++) {
            Thread.ofPlatform().start(() -> {
                for (long left = count / producers; left > 0; left--) {
                    long sequence = ring.next();
                    ring.get(sequence).message = MESSAGE;
                    ring.publish(sequence);
                }
            });
        }
        done.await();
        long took = System.nanoTime() - start;
        disruptor.shutdown();
        return took;
    }
}

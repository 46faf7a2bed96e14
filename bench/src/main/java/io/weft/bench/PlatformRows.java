// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Stream;

/**
 * Peer: platform threads, the JVM's ordinary ones.
 *
 * <ul>
 *   <li>yield: {@code Thread.yield()}. The kernel may let the caller go on, so a note says how many of the yields were
 *       switches; the figure is still time per yield, which is in the peer's favour.
 *   <li>rendezvous: a pair of {@code SynchronousQueue}s and one object that goes round.
 *   <li>event: a {@code Selector} over 100 pipes. The sender writes one byte and yields; the waiter selects, learns
 *       which pipe it is, reads the byte.
 * </ul>
 *
 * {@code scripts/bench} starts all but rendezvous-remote on one CPU ({@code taskset}): that is their fastest, since no
 * wake-up crosses to another processor. It then tells the JVM so, too.
 */
final class PlatformRows {

    private static final VarHandle DONE = MethodHandles.arrayElementVarHandle(long[].class);
    private static final int WORDS_PER_LINE = 16;

    private static volatile boolean stop;

    private PlatformRows() {}

    public static void main(String[] args) throws Exception {
        Sampler sampler = new Sampler("platform", args);
        switch (sampler.workload()) {
            case "yield-2" -> yieldAmong(2, sampler);
            case "yield-1000" -> yieldAmong(1000, sampler);
            case "rendezvous-local" -> {
                sampler.measure(PlatformRows::rendezvous);
                sampler.note("SynchronousQueue, both threads on one CPU");
            }
            case "rendezvous-remote" -> {
                sampler.measure(PlatformRows::rendezvous);
                sampler.note("SynchronousQueue, any CPU: it spins before it parks");
            }
            case "create-join" -> sampler.measure(PlatformRows::createJoin);
            case "event-100" -> {
                sampler.measure(PlatformRows::events);
                sampler.note("Selector over 100 pipes: write, yield, select, read");
            }
            default -> throw sampler.unknown();
        }
    }

    private static void yieldAmong(int threads, Sampler sampler) throws Exception {
        LongAdder switches = new LongAdder();
        LongAdder yields = new LongAdder();
        sampler.measure(count -> yields(threads, count, switches, yields));
        sampler.note("Thread.yield() on one CPU; %d%% of the yields were switches"
                .formatted(Math.min(100, switches.sum() * 100 / yields.sum())));
    }

    /**
     * Lets the threads yield for ever and watches from outside until {@code count} yields have happened: starting and
     * ending a thousand threads takes longer than their yields, and stays outside the time. Adds up the yields, and
     * the context switches that the kernel counted for the threads.
     */
    private static long yields(int threads, long count, LongAdder switches, LongAdder yields) throws Exception {
        stop = false;
        long[] done = new long[threads * WORDS_PER_LINE];
        Thread[] all = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            int mine = i * WORDS_PER_LINE;
            all[i] = Thread.ofPlatform().start(() -> {
                switches.add(-contextSwitches());
                while (!stop) {
                    Thread.yield();
                    DONE.setOpaque(done, mine, done[mine] + 1);
                }
                switches.add(contextSwitches());
                yields.add(done[mine]);
            });
        }
        for (int i = 0; i < threads; i++) {
            while ((long) DONE.getOpaque(done, i * WORDS_PER_LINE) == 0) {
                Thread.sleep(1);
            }
        }
        long before = sum(done);
        long start = System.nanoTime();
        long happened;
        long took;
        do {
            Thread.sleep(5);
            happened = sum(done) - before;
            took = System.nanoTime() - start;
        } while (happened < count);
        stop = true;
        for (Thread thread : all) {
            thread.join();
        }
        return (long) ((double) took * count / happened);
    }

    private static long sum(long[] done) {
        long sum = 0;
        for (int i = 0; i < done.length; i += WORDS_PER_LINE) {
            sum += (long) DONE.getOpaque(done, i);
        }
        return sum;
    }

    /** How often the calling thread has been switched out, willingly or not. */
    private static long contextSwitches() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/thread-self/status"))) {
            return lines.filter(line -> line.contains("ctxt_switches"))
                    .mapToLong(line -> Long.parseLong(line.substring(line.indexOf(':') + 1).strip()))
                    .sum();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long rendezvous(long count) throws InterruptedException {
        var requests = new SynchronousQueue<Object>();
        var replies = new SynchronousQueue<Object>();
        Object token = new Object();
        Thread server = Thread.ofPlatform().start(() -> {
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
            Thread.ofPlatform().start(empty).join();
        }
        return System.nanoTime() - start;
    }

    private static long events(long count) throws Exception {
        Pipe[] pipes = new Pipe[Sources.COUNT];
        try (Selector selector = Selector.open()) {
            for (int i = 0; i < Sources.COUNT; i++) {
                pipes[i] = Pipe.open();
                pipes[i].source().configureBlocking(false);
                pipes[i].source().register(selector, SelectionKey.OP_READ, i);
            }
            Thread sender = Thread.ofPlatform().start(() -> {
                try {
                    ByteBuffer word = ByteBuffer.allocateDirect(1);
                    for (long i = 0; i < count; i++) {
                        pipes[Sources.of(i)].sink().write(word.rewind());
                        Thread.yield(); // one event at a time, as far as the kernel goes along
                    }
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
            ByteBuffer word = ByteBuffer.allocateDirect(1);
            long[] seen = new long[2]; // events, and the sum of their sources
            long start = System.nanoTime();
            while (seen[0] < count) {
                selector.select(key -> {
                    try {
                        ((Pipe.SourceChannel) key.channel()).read(word.clear());
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                    seen[0]++;
                    seen[1] += (Integer) key.attachment();
                });
            }
            long took = System.nanoTime() - start;
            sender.join();
            if (seen[1] != count / Sources.COUNT * (Sources.COUNT - 1) * Sources.COUNT / 2) {
                throw new IllegalStateException("events came from the wrong sources");
            }
            return took;
        } finally {
            for (Pipe pipe : pipes) {
                if (pipe != null) {
                    pipe.source().close();
                    pipe.sink().close();
                }
            }
        }
    }
}

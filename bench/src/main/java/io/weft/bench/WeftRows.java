// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import io.weft.Cgrp;
import io.weft.Kthd;
import io.weft.LongChan;
import io.weft.Lwt;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;

/**
 * weft's own rows in Java, over nothing but the public API: every lwt here is a real {@code java.lang.Thread} of a
 * kthd's pool, every yield and channel operation a downcall.
 *
 * <p>Local workloads run on one kthd, the driver too; remote ones on two that are pinned to the two processors that the
 * system property {@code bench.cpus} names ({@code 0,1}), with the default idle strategy. The kthds live as long as the
 * program, so that threads come from the pool after the first run; a first run of 1,000 lwts makes 1,000 threads.
 */
final class WeftRows {

    private static final Runnable EMPTY = () -> {};

    /** Set when all lwts of a run have begun; plain, because one kthd runs them all. */
    private static boolean go;

    private static int begun;

    private WeftRows() {}

    public static void main(String[] args) throws Exception {
        Sampler sampler = new Sampler("weft-java", args);
        boolean remote = sampler.workload().endsWith("-remote");
        int[] cpus = cpus();
        try (Kthd here = kthd(remote ? cpus[0] : -1);
                Kthd there = remote ? kthd(cpus[1]) : null) {
            Sampler.Run run = switch (sampler.workload()) {
                case "yield-2" -> count -> yieldAmong(2, count, here);
                case "yield-1000" -> count -> yieldAmong(1000, count, here);
                case "rendezvous-local" -> count -> rendezvous(count, here, here);
                case "rendezvous-remote" -> count -> rendezvous(count, here, there);
                case "create-join" -> count -> createJoin(count, here);
                case "create-join-remote" -> count -> createJoin(count, there);
                case "event-100" -> count -> events(count, here, here);
                case "event-100-remote" -> count -> events(count, here, there);
                default -> throw sampler.unknown();
            };
            // the whole run is one lwt's body: nothing of it waits in the kernel
            sampler.measure(count -> here.spawn((Callable<Long>) () -> run.nanos(count)).join());
        }
        switch (sampler.workload()) {
            case "rendezvous-remote" -> sampler.note("two kthds on two CPUs, idle strategy spin, then park");
            case "event-100" -> sampler.note("a Cgrp of 100 unbuffered LongChans");
            default -> {}
        }
    }

    private static int[] cpus() {
        String[] words = System.getProperty("bench.cpus", "0,1").split(",");
        return new int[] {Integer.parseInt(words[0]), Integer.parseInt(words[words.length - 1])};
    }

    private static Kthd kthd(int cpu) {
        return Kthd.builder().cpu(cpu).start();
    }

    private static long yieldAmong(int lwts, long count, Kthd kthd) throws InterruptedException {
        go = false;
        begun = 0;
        List<Lwt<Void>> all = new ArrayList<>(lwts);
        for (int i = 0; i < lwts; i++) {
            all.add(kthd.spawn(() -> yielder(count / lwts)));
        }
        // a thread that is new takes its time to become an lwt; it must not do so while the clock runs
        while (begun < lwts) {
            Lwt.yield();
        }
        long start = System.nanoTime();
        go = true;
        for (Lwt<Void> lwt : all) {
            lwt.join();
        }
        return System.nanoTime() - start;
    }

    private static void yielder(long yields) {
        begun++;
        while (!go) {
            Lwt.yield();
        }
        for (long left = yields; left > 0; left--) {
            Lwt.yield();
        }
    }

    private static long rendezvous(long count, Kthd here, Kthd there) throws InterruptedException {
        try (LongChan requests = LongChan.create(0);
                LongChan replies = LongChan.create(0)) {
            Lwt<Void> server = there.spawn(() -> {
                for (long i = 0; i < count; i++) {
                    replies.send(requests.receive());
                }
                return null;
            });
            Lwt<Long> client = here.spawn(() -> {
                long start = System.nanoTime();
                for (long i = 0; i < count; i++) {
                    requests.send(i);
                    if (replies.receive() != i) {
                        throw new IllegalStateException("the rendezvous is broken");
                    }
                }
                return System.nanoTime() - start;
            });
            long took = client.join();
            server.join();
            return took;
        }
    }

    private static long createJoin(long count, Kthd where) throws InterruptedException {
        long start = System.nanoTime();
        for (long i = 0; i < count; i++) {
            where.spawn(EMPTY).join();
        }
        return System.nanoTime() - start;
    }

    private static long events(long count, Kthd here, Kthd there) throws InterruptedException {
        LongChan[] sources = new LongChan[Sources.COUNT];
        try (Cgrp<Integer> group = new Cgrp<>()) {
            for (int i = 0; i < Sources.COUNT; i++) {
                sources[i] = LongChan.create(0);
                group.add(sources[i], i);
            }
            Lwt<Long> waiter = here.spawn(() -> {
                long start = System.nanoTime();
                for (long i = 0; i < count; i++) {
                    Cgrp.Event<Integer> event = group.await();
                    Sources.check(i, event.mark());
                    sources[event.mark()].receive();
                }
                return System.nanoTime() - start;
            });
            Lwt<Void> sender = there.spawn(() -> {
                for (long i = 0; i < count; i++) {
                    sources[Sources.of(i)].send(i);
                }
                return null;
            });
            long took = waiter.join();
            sender.join();
            return took;
        } finally {
            for (LongChan source : sources) {
                if (source != null) {
                    source.close();
                }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

/**
 * The kinds of threads that may call weft, so that one test can be run from each. A {@code Callers} makes threads of
 * one kind; closing it closes the kthds that it needed for that.
 */
final class Callers implements AutoCloseable {
    enum Kind {
        /** Lwts that share one kthd. */
        LWT_LOCAL,
        /** Lwts on two kthds in turn. */
        LWT_REMOTE,
        /** Adopted threads on one kthd. */
        ADOPTED,
        PLATFORM,
        VIRTUAL,
        /** One of each in turn. */
        MIXED
    }

    /** A started piece of work: its outcome, and the thread to interrupt. */
    static final class Work<T> {
        private final CompletableFuture<T> outcome = new CompletableFuture<>();
        private volatile Thread thread;
        private volatile Lwt<?> lwt;

        void run(Callable<T> body) {
            thread = Thread.currentThread();
            try {
                outcome.complete(body.call());
            } catch (Throwable thrown) {
                outcome.completeExceptionally(thrown);
            }
        }

        /** What the work came to; throws what it threw. */
        T get() throws Exception {
            try {
                return outcome.get(20, TimeUnit.SECONDS);
            } catch (ExecutionException e) {
                if (e.getCause() instanceof Exception exception) {
                    throw exception;
                }
                throw new AssertionError(e.getCause());
            }
        }

        boolean isDone() {
            return outcome.isDone();
        }

        void interrupt() {
            await(() -> thread != null || lwt != null);
            if (lwt != null) {
                lwt.interrupt();
            } else {
                thread.interrupt();
            }
        }
    }

    private final Kind kind;
    private final Kthd[] kthds;
    private final AtomicInteger turn = new AtomicInteger();

    Callers(Kind kind) {
        this.kind = kind;
        int count = kind == Kind.LWT_REMOTE || kind == Kind.MIXED ? 2 : 1;
        kthds = new Kthd[count];
        for (int i = 0; i < count; i++) {
            kthds[i] = Kthd.builder().name("callers-" + i).start();
        }
    }

    <T> Work<T> start(Callable<T> body) {
        int number = turn.getAndIncrement();
        Kind[] kinds = {Kind.LWT_REMOTE, Kind.PLATFORM, Kind.VIRTUAL, Kind.ADOPTED};
        return start(kind == Kind.MIXED ? kinds[number % kinds.length] : kind, kthds[number % kthds.length], body);
    }

    private static <T> Work<T> start(Kind kind, Kthd kthd, Callable<T> body) {
        Work<T> work = new Work<>();
        switch (kind) {
            case PLATFORM -> Thread.ofPlatform().daemon().start(() -> work.run(body));
            case VIRTUAL -> Thread.startVirtualThread(() -> work.run(body));
            case ADOPTED ->
                Thread.ofPlatform().daemon().start(() -> work.run(() -> {
                    try (Adoption adoption = kthd.adopt()) {
                        return body.call();
                    }
                }));
            default -> work.lwt = kthd.spawn(() -> work.run(body));
        }
        return work;
    }

    @Override
    public void close() {
        for (Kthd kthd : kthds) {
            kthd.close();
        }
    }

    /** Waits for a condition that another thread brings about; fails after a generous time. */
    static void await(BooleanSupplier condition) {
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("the condition did not come about");
            }
            Lwt.yield();
        }
    }
}

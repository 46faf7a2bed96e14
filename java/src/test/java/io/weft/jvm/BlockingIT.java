// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static io.weft.jvm.Riders.joinAll;
import static io.weft.jvm.Riders.ride;

import io.weft.Kthd;
import io.weft.Lwt;
import io.weft.ffi.JvmCalls;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Java code that blocks lets the other lwts of its kthd run. All cases have one kthd, where whoever blocks the carrier
 * blocks the one that would wake it: a case that ends has shown something. Those that must hang without the hook are
 * run without it too, and must.
 */
class BlockingIT {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "park",
                "parkNanos",
                "contendedMonitor",
                "contendedLock",
                "waitAndNotify",
                "sleep",
                "interruptedSleep",
                "joinedThread",
                "classInitialisation",
                "classLoading",
                "blockingQueues",
                "virtualThreads",
                "executor",
                "threadStart",
            })
    void blockingStepsAside(String name) throws Exception {
        ForkedJvm.of(BlockingIT.class, name).within(Duration.ofSeconds(40)).run().expectOk();
    }

    @ParameterizedTest
    @ValueSource(strings = {"park", "contendedMonitor", "waitAndNotify", "classInitialisation"})
    void withoutTheHookItHangs(String name) throws Exception {
        ForkedJvm.of(BlockingIT.class, name)
                .flag("-Dweft.hook=off")
                .expectingToHang(Duration.ofSeconds(4))
                .run()
                .expectHang();
    }

    @Test
    void withoutTheHookItIsSaidOnce() throws Exception {
        ForkedJvm.of(BlockingIT.class, "hookIsOff")
                .flag("-Dweft.hook=off")
                .run()
                .expectOk()
                .expectOutput("the blocking hook is switched off");
    }

    // ---- the cases, in a JVM of their own --------------------------------------------------------------------------

    /** Runs a case's bodies on a kthd of its own, and checks that somebody stepped aside. */
    private static void onOneKthd(Case body) throws Exception {
        long before = JvmCalls.stepsAside();
        try (Kthd kthd = Kthd.builder().name("one").start()) {
            body.run(kthd);
        }
        check(JvmCalls.stepsAside() > before, "an lwt stepped aside");
    }

    private interface Case {
        void run(Kthd kthd) throws Exception;
    }

    private static void yieldTimes(int turns) {
        for (int i = 0; i < turns; i++) {
            Lwt.yield();
        }
    }

    static void hookIsOff(String[] args) throws Exception {
        try (Kthd kthd = Kthd.start()) {
            check(kthd.spawn(() -> 42).join() == 42, "lwts run");
        }
        check(JvmCalls.stepsAside() == 0, "nobody stepped aside");
    }

    static void park(String[] args) throws Exception {
        onOneKthd(kthd -> {
            AtomicBoolean parking = new AtomicBoolean();
            AtomicBoolean permitted = new AtomicBoolean();
            Thread[] thread = new Thread[1];
            Lwt<Void> sleeper = ride(kthd, "sleeper", () -> {
                thread[0] = Thread.currentThread();
                parking.set(true);
                while (!permitted.get()) {
                    LockSupport.park();
                }
            });
            Lwt<Void> waker = ride(kthd, "waker", () -> {
                while (!parking.get()) {
                    Lwt.yield();
                }
                yieldTimes(1000);
                permitted.set(true);
                LockSupport.unpark(thread[0]);
            });
            joinAll(List.of(sleeper, waker));
        });
    }

    static void parkNanos(String[] args) throws Exception {
        onOneKthd(kthd -> othersRunOnDuring(kthd, () -> LockSupport.parkNanos(200_000_000)));
    }

    static void sleep(String[] args) throws Exception {
        onOneKthd(kthd -> othersRunOnDuring(kthd, () -> Thread.sleep(200)));
    }

    /** One lwt blocks for 200 ms, another counts its turns meanwhile. */
    private static void othersRunOnDuring(Kthd kthd, Riders.Body blocking) throws Exception {
        AtomicBoolean over = new AtomicBoolean();
        Lwt<Long> counter = kthd.spawn("counter", () -> {
            long turns = 0;
            while (!over.get()) {
                turns++;
                Lwt.yield();
            }
            return turns;
        });
        Lwt<Void> blocker = ride(kthd, "blocker", () -> {
            Lwt.yield();
            long start = System.nanoTime();
            blocking.run();
            check(System.nanoTime() - start > 150_000_000, "it waited for as long as it was to");
            over.set(true);
        });
        blocker.join();
        check(counter.join() > 10_000, "the others ran on");
    }

    static void interruptedSleep(String[] args) throws Exception {
        onOneKthd(kthd -> {
            CountDownLatch asleep = new CountDownLatch(1);
            Lwt<Boolean> sleeper = kthd.spawn("sleeper", () -> {
                try {
                    asleep.countDown();
                    Thread.sleep(60_000);
                    return false;
                } catch (InterruptedException expected) {
                    return !Thread.currentThread().isInterrupted();
                }
            });
            ride(kthd, "interrupter", () -> {
                asleep.await();
                yieldTimes(100);
                sleeper.interrupt();
            }).join();
            check(sleeper.join(), "the sleep was interrupted and the status cleared");
        });
    }

    static void contendedMonitor(String[] args) throws Exception {
        onOneKthd(kthd -> {
            Object monitor = new Object();
            int[] count = new int[1];
            joinAll(ride(kthd, 10, "contender", () -> {
                for (int i = 0; i < 100; i++) {
                    synchronized (monitor) {
                        int seen = count[0];
                        Lwt.yield();
                        count[0] = seen + 1;
                    }
                }
            }));
            check(count[0] == 1000, "the monitor excluded");
        });
    }

    static void contendedLock(String[] args) throws Exception {
        onOneKthd(kthd -> {
            ReentrantLock lock = new ReentrantLock();
            int[] count = new int[1];
            joinAll(ride(kthd, 10, "contender", () -> {
                for (int i = 0; i < 100; i++) {
                    lock.lock();
                    try {
                        int seen = count[0];
                        Lwt.yield();
                        count[0] = seen + 1;
                    } finally {
                        lock.unlock();
                    }
                }
            }));
            check(count[0] == 1000, "the lock excluded");
        });
    }

    static void waitAndNotify(String[] args) throws Exception {
        onOneKthd(kthd -> {
            Object monitor = new Object();
            int[] baton = new int[1];
            List<Lwt<Void>> runners = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                int me = i;
                runners.add(ride(kthd, "runner" + i, () -> {
                    for (int round = 0; round < 100; round++) {
                        synchronized (monitor) {
                            while (baton[0] % 4 != me) {
                                monitor.wait();
                            }
                            baton[0]++;
                            monitor.notifyAll();
                        }
                    }
                }));
            }
            joinAll(runners);
            check(baton[0] == 400, "the baton went round");
        });
    }

    static void joinedThread(String[] args) throws Exception {
        onOneKthd(kthd -> {
            BlockingQueue<String> word = new ArrayBlockingQueue<>(1);
            Lwt<Void> joiner = ride(kthd, "joiner", () -> {
                Thread thread = Thread.ofPlatform().start(() -> {
                    try {
                        check(word.take().equals("go"), "the word came");
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                });
                thread.join();
            });
            Lwt<Void> starter = ride(kthd, "starter", () -> {
                yieldTimes(1000);
                word.put("go");
            });
            joinAll(List.of(joiner, starter));
        });
    }

    /** Its initialiser gives the turn away, so that others meet a class that is being initialised. */
    private static final class Slow {
        static final int VALUE;

        static {
            yieldTimes(1000);
            VALUE = Integer.parseInt("42");
        }
    }

    static void classInitialisation(String[] args) throws Exception {
        onOneKthd(kthd -> {
            AtomicInteger right = new AtomicInteger();
            joinAll(ride(kthd, 8, "user", () -> {
                Lwt.yield();
                if (Slow.VALUE == 42) {
                    right.incrementAndGet();
                }
            }));
            check(right.get() == 8, "everybody saw the class initialised");
        });
    }

    /** A class that a loader of ours defines. */
    static final class Loaded {
        static final Object TOKEN = new Object();

        private Loaded() {}
    }

    /** Loads {@link Loaded} once more, and gives the turn away while it holds the lock of the class's name. */
    private static final class SlowLoader extends ClassLoader {
        final AtomicInteger defined = new AtomicInteger();

        SlowLoader() {
            super(BlockingIT.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.equals(Loaded.class.getName())) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> known = findLoadedClass(name);
                return known == null ? define(name) : known;
            }
        }

        private Class<?> define(String name) throws ClassNotFoundException {
            yieldTimes(100);
            try (InputStream in = getResourceAsStream(name.replace('.', '/') + ".class")) {
                byte[] bytes = in.readAllBytes();
                yieldTimes(100);
                defined.incrementAndGet();
                return defineClass(name, bytes, 0, bytes.length);
            } catch (IOException e) {
                throw new ClassNotFoundException(name, e);
            }
        }
    }

    static void classLoading(String[] args) throws Exception {
        onOneKthd(kthd -> {
            SlowLoader loader = new SlowLoader();
            List<Lwt<Class<?>>> users = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                users.add(kthd.spawn("user" + i, () -> Class.forName(Loaded.class.getName(), true, loader)));
            }
            for (Lwt<Class<?>> user : users) {
                check(user.join() == users.getFirst().join(), "all got the same class");
            }
            check(loader.defined.get() == 1, "it was defined once");
            check(users.getFirst().join() != Loaded.class, "it is the loader's own");
        });
    }

    static void blockingQueues(String[] args) throws Exception {
        onOneKthd(kthd -> {
            for (BlockingQueue<Integer> queue : List.of(new ArrayBlockingQueue<Integer>(1), new SynchronousQueue<Integer>())) {
                Lwt<Void> producer = ride(kthd, "producer", () -> {
                    for (int i = 0; i < 2000; i++) {
                        queue.put(i);
                    }
                });
                Lwt<Void> consumer = ride(kthd, "consumer", () -> {
                    for (int i = 0; i < 2000; i++) {
                        check(queue.take() == i, "in order");
                    }
                });
                joinAll(List.of(producer, consumer));
            }
        });
    }

    static void virtualThreads(String[] args) throws Exception {
        onOneKthd(kthd -> {
            AtomicInteger ran = new AtomicInteger();
            Lwt<Void> lwt = ride(kthd, "starter", () -> {
                List<Thread> threads = new ArrayList<>();
                for (int i = 0; i < 100; i++) {
                    threads.add(Thread.startVirtualThread(() -> {
                        Thread.yield();
                        ran.incrementAndGet();
                    }));
                }
                Lwt.yield();
                for (Thread thread : threads) {
                    thread.join();
                }
                Thread.startVirtualThread(() -> LockSupport.parkNanos(50_000_000)).join();
            });
            lwt.join();
            check(ran.get() == 100, "all of them ran");
        });
    }

    static void executor(String[] args) throws Exception {
        onOneKthd(kthd -> {
            Lwt<Integer> sum = kthd.spawn("user", () -> {
                try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
                    int total = 0;
                    for (int i = 0; i < 200; i++) {
                        int one = i;
                        total += pool.submit(() -> one).get();
                    }
                    Thread.sleep(10);
                    return total;
                }
            });
            check(sum.join() == 199 * 200 / 2, "the pool's results came");
        });
    }

    /** The VM makes the parent wait for a new thread to come up. */
    static void threadStart(String[] args) throws Exception {
        onOneKthd(kthd -> {
            AtomicInteger ran = new AtomicInteger();
            joinAll(ride(kthd, 4, "parent", () -> {
                for (int i = 0; i < 25; i++) {
                    Thread child = new Thread(ran::incrementAndGet);
                    child.start();
                    Lwt.yield();
                    child.join();
                }
            }));
            check(ran.get() == 100, "the children ran");
        });
    }
}

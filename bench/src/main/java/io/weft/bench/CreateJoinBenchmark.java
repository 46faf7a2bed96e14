// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import io.weft.Adoption;
import io.weft.Kthd;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Create an lwt with an empty body, let it run, join it, one at a time, on one kthd: what it costs to take a thread
 * from the pool and put it back. Baseline, in the same run: the same with a virtual thread that JMH's thread starts.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class CreateJoinBenchmark {

    private static final Runnable EMPTY = () -> {};

    /** JMH's thread while it is an lwt. */
    @State(Scope.Thread)
    public static class Adopted {
        private Kthd kthd;
        private Adoption adoption;

        @Setup(Level.Iteration)
        public void adopt() {
            kthd = Kthd.start();
            adoption = kthd.adopt();
        }

        @TearDown(Level.Iteration)
        public void leave() {
            adoption.close();
            kthd.close();
        }
    }

    @Benchmark
    public Object lwt(Adopted me) throws InterruptedException {
        return me.kthd.spawn(EMPTY).join();
    }

    @Benchmark
    public void virtualThread() throws InterruptedException {
        Thread.startVirtualThread(EMPTY).join();
    }
}

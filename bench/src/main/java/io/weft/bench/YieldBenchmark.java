// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import io.weft.Adoption;
import io.weft.Kthd;
import io.weft.Lwt;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Time per switch among lwts that do nothing but yield: JMH's thread, adopted, and partners of the pool. An invocation
 * is 1,000 switches, however many lwts share them. The adopted thread has to look up that it is an lwt, the others do
 * not; with 2 lwts that shows. Baseline: the same with virtual threads is scripts/bench's row.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class YieldBenchmark {

    private static final int SWITCHES = 1000;

    /** All lwts, JMH's thread included; divides 1,000. */
    @Param({"2", "10", "100", "1000"})
    private int lwts;

    private final List<Lwt<Void>> partners = new ArrayList<>();
    private volatile boolean stop;
    private Kthd kthd;
    private Adoption adoption;

    @Setup(Level.Iteration)
    public void adopt() {
        stop = false;
        kthd = Kthd.start();
        adoption = kthd.adopt();
        for (int i = 1; i < lwts; i++) {
            partners.add(kthd.spawn(() -> {
                while (!stop) {
                    Lwt.yield();
                }
            }));
        }
        // a new thread becomes an lwt on its own time
        while (kthd.info().runnable() < lwts) {
            Lwt.yield();
        }
    }

    @Benchmark
    @OperationsPerInvocation(SWITCHES)
    public void yieldInTurn() {
        for (int left = SWITCHES / lwts; left > 0; left--) {
            Lwt.yield();
        }
    }

    @TearDown(Level.Iteration)
    public void leave() throws InterruptedException {
        stop = true;
        for (Lwt<Void> partner : partners) {
            partner.join();
        }
        partners.clear();
        adoption.close();
        kthd.close();
    }
}

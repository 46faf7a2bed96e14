// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import io.weft.Adoption;
import io.weft.ChanClosedException;
import io.weft.Kthd;
import io.weft.LongChan;
import io.weft.Lwt;
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
 * A request and its reply over two unbuffered channels. JMH's thread, adopted, or an lwt asks; an lwt answers, on the
 * same kthd (local) or on another (remote; the kthds are not pinned). Baseline: SynchronousQueues on virtual threads,
 * scripts/bench's row.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class RendezvousBenchmark {

    private static final int BATCH = 1000;

    /** Where the two live. */
    public enum Topology {
        LOCAL,
        REMOTE
    }

    @Param
    private Topology topology;

    private Kthd here;
    private Kthd there;
    private Adoption adoption;
    private LongChan requests;
    private LongChan replies;
    private Lwt<Void> server;
    private long next;

    @Setup(Level.Iteration)
    public void adopt() {
        requests = LongChan.create(0);
        replies = LongChan.create(0);
        here = Kthd.start();
        there = topology == Topology.LOCAL ? here : Kthd.start();
        server = there.spawn(this::answer);
        adoption = here.adopt();
    }

    private Void answer() throws InterruptedException {
        try {
            while (true) {
                replies.send(requests.receive());
            }
        } catch (ChanClosedException atTheEnd) {
            return null;
        }
    }

    /** Asked by JMH's own thread, which is adopted: its waits must register for an interrupt each time. */
    @Benchmark
    public long adopted() throws InterruptedException {
        return roundTrip();
    }

    /** Asked by an lwt of the pool, as most lwts are; making and joining it is spread over the batch. */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public long spawned() throws InterruptedException {
        return here.spawn(() -> {
                    long last = 0;
                    for (int i = 0; i < BATCH; i++) {
                        last = roundTrip();
                    }
                    return last;
                })
                .join();
    }

    private long roundTrip() throws InterruptedException {
        requests.send(next++);
        return replies.receive();
    }

    @TearDown(Level.Iteration)
    public void leave() throws InterruptedException {
        requests.close();
        server.join();
        replies.close();
        adoption.close();
        here.close();
        there.close();
    }
}

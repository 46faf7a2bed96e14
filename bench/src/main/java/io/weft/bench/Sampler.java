// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import java.util.Locale;

/**
 * The command line, clock and output that the Java programs share; the same protocol as {@code bench/c/bench.h}:
 *
 * <pre>  program WORKLOAD SAMPLES SAMPLE_MS WARMUP_MS</pre>
 *
 * prints {@code sample WORKLOAD SUBJECT NS} lines. Before the first sample the workload runs for WARMUP_MS, so that
 * what is timed is compiled code. The system property {@code bench.variant} is added to the subject's name: it marks
 * a run with other JVM flags, which is shown beside the table and not in it.
 */
final class Sampler {

    /** Does {@code count} operations and gives the nanoseconds they took. */
    @FunctionalInterface
    interface Run {
        long nanos(long count) throws Exception;
    }

    /** The operations that the first trial does, and the grain of a sample: every workload divides it. */
    private static final long GRAIN = 1000;

    /** How many times WARMUP_MS a warm-up may take, what is outside the timed part included. */
    private static final long WARMUP_LIMIT = 6;

    private final String workload;
    private final String subject;
    private final int samples;
    private final long sampleNanos;
    private final long warmupNanos;

    Sampler(String subject, String[] args) {
        if (args.length != 4) {
            throw new IllegalArgumentException("expected WORKLOAD SAMPLES SAMPLE_MS WARMUP_MS");
        }
        String variant = System.getProperty("bench.variant", "");
        this.subject = variant.isEmpty() ? subject : subject + "+" + variant;
        workload = args[0];
        samples = Integer.parseInt(args[1]);
        sampleNanos = Long.parseLong(args[2]) * 1_000_000;
        warmupNanos = Long.parseLong(args[3]) * 1_000_000;
    }

    String workload() {
        return workload;
    }

    /** Warms up, takes the samples, prints them. */
    void measure(Run run) throws Exception {
        long count = GRAIN;
        long deadline = System.nanoTime() + WARMUP_LIMIT * warmupNanos;
        long took = run.nanos(count);
        // only what is timed counts: making a thousand threads before the first run warms nothing up
        for (long warm = took; warm < warmupNanos && System.nanoTime() < deadline; warm += took) {
            // runs grow to half a sample, so that the loops are compiled as they will be timed
            if (took < sampleNanos / 2) {
                count *= took < sampleNanos / 16 ? 4 : 2;
            }
            took = run.nanos(count);
        }
        count = Math.max(GRAIN, (long) ((double) count * sampleNanos / took) / GRAIN * GRAIN);
        for (int i = 0; i < samples; i++) {
            took = run.nanos(count);
            System.out.printf(Locale.ROOT, "sample %s %s %.3f%n", workload, subject, (double) took / count);
        }
    }

    /** Says something that a reader of the figure must know. */
    void note(String text) {
        System.out.println("note " + workload + " " + subject + " " + text);
    }

    /** Ends the program: there is no figure for this workload. */
    IllegalArgumentException unknown() {
        return new IllegalArgumentException(subject + " knows no workload " + workload);
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import java.io.PrintStream;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/**
 * What weft promises about its speed, held against this run's medians. Prints a verdict on each promise and never fails
 * the run: on a busy machine a missed bar says little, and a met one not much more.
 */
final class Bars {

    /**
     * {@code subject} must take at most 1/{@code factor} of what {@code peer} takes; where there is no peer, at most
     * {@code factor} nanoseconds.
     */
    private record Bar(String what, String subject, String workload, String peer, double factor) {

        /** By the samples that {@code sample} picks of each side: the medians, or the quickest. */
        Optional<Double> measured(Results results, ToDoubleFunction<Figure> sample) {
            Optional<Double> own = results.figure(workload, subject).map(sample::applyAsDouble);
            if (peer == null) {
                return own;
            }
            return own.flatMap(mine ->
                    results.figure(workload, peer).map(other -> sample.applyAsDouble(other) / mine));
        }

        boolean met(double value) {
            return peer == null ? value <= factor : value >= factor;
        }

        String missing(Results results) {
            String absent = results.figure(workload, subject).isEmpty() ? subject : peer;
            String note = results.note(workload, absent);
            return "no figure for " + absent + (note.isEmpty() ? "" : ": " + note);
        }
    }

    private static final List<Bar> ALL = List.of(
            new Bar("C yield, 2 lwts: at most 4 ns", "weft-c", "yield-2", null, 4),
            new Bar("C yield faster than Boost.Context's bare jump by 1.25", "weft-c", "yield-2", "boost", 1.25),
            new Bar("C yield faster than Boost.Fiber's by 5", "weft-c", "yield-2", "boost-fiber", 5),
            new Bar("C yield faster than Go's Gosched by 15", "weft-c", "yield-2", "go", 15),
            new Bar("C create+run+join faster than Go by 8", "weft-c", "create-join", "go", 8),
            new Bar("Java yield, 2 lwts: faster than Go's Gosched by 5", "weft-java", "yield-2", "go", 5),
            new Bar("Java yield, 2 lwts: faster than virtual threads by 25", "weft-java", "yield-2", "vthread", 25),
            new Bar("Java yield, 1000 lwts: at most 0.6 of Go's", "weft-java", "yield-1000", "go", 1 / 0.6),
            new Bar("Java rendezvous, one kthd: faster than Go by 4", "weft-java", "rendezvous-local", "go", 4),
            new Bar("Java rendezvous, one kthd: faster than virtual threads by 7", "weft-java", "rendezvous-local",
                    "vthread", 7));

    private Bars() {}

    static void print(Results results, PrintStream out) {
        out.printf("%nThe bars that this run can judge, by the medians%n");
        out.printf("  %-60s %10s %10s %10s%n", "", "asked", "medians", "quickest");
        for (Bar bar : ALL) {
            String unit = bar.peer == null ? " ns" : " x";
            Optional<Double> value = bar.measured(results, Figure::median);
            String verdict = value.map(v -> (bar.met(v) ? "met" : "MISSED") + olderGo(bar, results))
                    .orElseGet(() -> "not judged, " + bar.missing(results));
            out.printf("  %-60s %10s %10s %10s  %s%n", bar.what, Report.number(bar.factor) + unit,
                    text(value, unit), text(bar.measured(results, Figure::min), unit), verdict);
        }
        out.println("  Quickest: the smallest sample of each side; on a busy machine it says more than the median.");
    }

    private static String text(Optional<Double> value, String unit) {
        return value.map(v -> Report.number(v) + unit).orElse("-");
    }

    /** Go's figures changed with its versions; where an older Go was measured too, its verdict stands beside. */
    private static String olderGo(Bar bar, Results results) {
        if (!"go".equals(bar.peer)) {
            return "";
        }
        return new Bar(bar.what, bar.subject, bar.workload, "go+1.19", bar.factor)
                .measured(results, Figure::median)
                .map(v -> " (against Go 1.19: %s x, %s)".formatted(Report.number(v), bar.met(v) ? "met" : "MISSED"))
                .orElse("");
    }
}

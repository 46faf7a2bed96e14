// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Turns the sample lines of a run into the table on standard output and, if asked, a JSON file. Measures nothing.
 *
 * <p>A ratio says how many times less time a row takes than the one it is compared with: 2 is twice as fast, 0.5 half.
 * A local row is compared with lmbench pinned to one CPU, a remote row with lmbench unpinned.
 */
@Command(name = "report", mixinStandardHelpOptions = true, description = "Prints the table of a run of scripts/bench.")
public final class Report implements Callable<Integer> {

    static final List<String> WORKLOADS =
            List.of("yield-2", "yield-1000", "rendezvous-local", "rendezvous-remote", "create-join", "event-100");
    static final List<String> SUBJECTS = List.of(
            "lmbench", "lmbench-pinned", "platform", "vthread", "go", "boost", "boost-fiber", "weft-c", "weft-java");

    /** A row of the table; a remote row takes the figures of workloads whose two sides are on two kernel threads. */
    private record Row(String title, String subject, boolean local, boolean remote) {
        /** The workload whose figure stands in this row in the column of {@code workload}, or null. */
        String source(String workload) {
            if (workload.equals("rendezvous-remote")) {
                return remote ? workload : null;
            }
            if (local) {
                return workload;
            }
            return workload.equals("create-join") || workload.equals("event-100") ? workload + "-remote" : null;
        }
    }

    private static final List<Row> ROWS = List.of(
            new Row("lmbench", "lmbench", true, true),
            new Row("lmbench, one CPU", "lmbench-pinned", true, true),
            new Row("platform threads", "platform", true, true),
            new Row("virtual threads", "vthread", true, true),
            new Row("Go", "go", true, true),
            new Row("Boost.Context", "boost", true, true),
            new Row("Boost.Fiber", "boost-fiber", true, true),
            new Row("weft C local", "weft-c", true, false),
            new Row("weft C remote", "weft-c", false, true),
            new Row("weft Java local", "weft-java", true, false),
            new Row("weft Java remote", "weft-java", false, true));

    @Parameters(paramLabel = "SAMPLES", description = "File of sample, note and fact lines.")
    private Path samples;

    @Option(names = "--json", paramLabel = "FILE", description = "Also write the figures there.")
    private Path json;

    private final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    private Results results;
    private double ghz;

    public static void main(String[] args) {
        System.exit(new CommandLine(new Report()).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        results = Results.read(samples);
        String hz = results.fact("tsc-hz");
        ghz = hz.equals("unknown") ? Double.NaN : Double.parseDouble(hz) / 1e9;
        head();
        overview("Nanoseconds, medians", 1);
        overview("Cycles (time-stamp counter at %.3f GHz), medians".formatted(ghz), ghz);
        for (String workload : WORKLOADS) {
            details(workload);
        }
        variants();
        Bars.print(results, out);
        out.flush();
        if (json != null) {
            writeJson();
        }
        return 0;
    }

    private void head() {
        out.println("weft beside its peers");
        results.facts().forEach((key, text) -> {
            if (!key.equals("tsc-hz")) {
                out.printf("  %-10s %s%n", key, text);
            }
        });
    }

    /** The table of the original: one row per subject, one column per figure. */
    private void overview(String title, double scale) {
        out.printf("%n%s%n", title);
        out.printf("%-17s | %-19s | %-23s | %-11s | %s%n",
                "", "context switch", "pipe / channel, there", "create, run", "event, one");
        out.printf("%-17s | %9s %9s | %11s %11s | %11s | %11s%n",
                "", "2", "1000", "and back", "remote", "and join", "out of 100");
        out.println("-".repeat(17) + "-|-" + "-".repeat(19) + "-|-" + "-".repeat(23) + "-|-" + "-".repeat(11) + "-|-"
                + "-".repeat(11));
        for (Row row : ROWS) {
            String[] cells = WORKLOADS.stream().map(w -> cell(row, w, scale)).toArray(String[]::new);
            out.printf("%-17s | %9s %9s | %11s %11s | %11s | %11s%n",
                    row.title, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]);
        }
    }

    private String cell(Row row, String workload, double scale) {
        String source = row.source(workload);
        return source == null ? "" : results.figure(source, row.subject)
                .map(figure -> number(figure.median() * scale)).orElse("-");
    }

    private static final String DETAIL = "  %-26s %11s %11s %25s %3s %10s %10s  %s%n";

    private void details(String workload) {
        out.printf("%n%s: %s%n", workload, title(workload));
        out.printf(DETAIL, "", "median ns", "cycles", "min .. max ns", "n", "x lmbench", "x Go", "");
        for (Row row : ROWS) {
            String source = row.source(workload);
            if (source != null) {
                detail(row.title, source, row.subject, !row.local || workload.equals("rendezvous-remote"));
            }
        }
    }

    private void detail(String title, String workload, String subject, boolean remote) {
        String note = results.note(workload, subject);
        Optional<Figure> found = results.figure(workload, subject);
        if (found.isEmpty()) {
            out.printf(DETAIL, title, "-", "", "", "", "", "", note.isEmpty() ? "not measured" : note);
            return;
        }
        Figure figure = found.get();
        out.printf(DETAIL, title, number(figure.median()), number(figure.median() * ghz),
                number(figure.min()) + " .. " + number(figure.max()), figure.count(),
                ratio(lmbench(workload, remote), figure), ratio(results.figure(workload, "go"), figure), note);
    }

    /** What a row is compared with: one CPU with one CPU, two with whatever the kernel chooses. */
    private Optional<Figure> lmbench(String workload, boolean remote) {
        return results.figure(workload.replace("-100-remote", "-100").replace("-join-remote", "-join"),
                remote ? "lmbench" : "lmbench-pinned");
    }

    private static String title(String workload) {
        return switch (workload) {
            case "yield-2" -> "time per switch, 2 threads that yield to each other";
            case "yield-1000" -> "time per switch, 1000 threads that yield in turn";
            case "rendezvous-local" -> "request and reply over two unbuffered channels, one kernel thread";
            case "rendezvous-remote" -> "the same between two kernel threads";
            case "create-join" -> "create a thread, let it run an empty body, join it";
            case "event-100" -> "one of 100 sources is made ready, the waiter is told which and takes it";
            default -> throw new IllegalArgumentException(workload);
        };
    }

    private void variants() {
        List<String[]> all = results.variants();
        if (all.isEmpty()) {
            return;
        }
        out.printf("%nFor orientation only: other settings, and what the machine itself can do%n");
        out.printf(DETAIL, "", "median ns", "cycles", "min .. max ns", "n", "x lmbench", "x Go", "");
        for (String[] pair : all) {
            String note = results.note(pair[0], pair[1]);
            Figure figure = results.figure(pair[0], pair[1]).orElseThrow();
            boolean remote = pair[0].endsWith("remote");
            out.printf(DETAIL, pair[1], number(figure.median()), number(figure.median() * ghz),
                    number(figure.min()) + " .. " + number(figure.max()), figure.count(),
                    ratio(lmbench(pair[0], remote), figure), ratio(results.figure(pair[0], "go"), figure),
                    pair[0] + (note.isEmpty() ? "" : ": " + note));
        }
    }

    /** How many times less time {@code figure} takes than {@code other}. */
    private static String ratio(Optional<Figure> other, Figure figure) {
        return other.map(o -> number(o.median() / figure.median())).orElse("");
    }

    /** Three digits that count, two below one hundredth. */
    static String number(double value) {
        if (Double.isNaN(value)) {
            return "?";
        }
        int decimals = value < 0.1 ? 4 : value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0;
        return String.format(Locale.ROOT, "%,." + decimals + "f", value);
    }

    private void writeJson() throws IOException {
        // written whole, then moved: a reader never sees half a file
        Path part = json.resolveSibling(json.getFileName() + ".part");
        try (JsonGenerator generator = new JsonFactory().createGenerator(Files.newOutputStream(part))) {
            generator.setPrettyPrinter(new DefaultPrettyPrinter());
            generator.enable(JsonGenerator.Feature.AUTO_CLOSE_TARGET);
            generator.writeStartArray();
            for (String workload : WORKLOADS) {
                for (String subject : SUBJECTS) {
                    writeJson(generator, workload, subject);
                }
            }
            generator.writeEndArray();
        }
        Files.move(part, json, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    }

    private void writeJson(JsonGenerator generator, String workload, String subject) throws IOException {
        Optional<Figure> figure = results.figure(workload, subject);
        String note = results.note(workload, subject);
        generator.writeStartObject();
        generator.writeStringField("workload", workload);
        generator.writeStringField("subject", subject);
        List<String> names = new ArrayList<>(List.of("median_ns", "min_ns", "max_ns"));
        if (figure.isPresent()) {
            generator.writeNumberField(names.get(0), rounded(figure.get().median()));
            generator.writeNumberField(names.get(1), rounded(figure.get().min()));
            generator.writeNumberField(names.get(2), rounded(figure.get().max()));
            generator.writeNumberField("samples", figure.get().count());
        } else {
            for (String name : names) {
                generator.writeNullField(name);
            }
            generator.writeNumberField("samples", 0);
            note = note.isEmpty() ? "not measured in this run" : note;
        }
        generator.writeStringField("note", note);
        generator.writeEndObject();
    }

    /** Picoseconds are below what the clock tells. */
    private static double rounded(double nanos) {
        return Math.round(nanos * 1000) / 1000.0;
    }
}

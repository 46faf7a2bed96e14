// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Everything that one run's programs printed, as figures. Reads the lines
 *
 * <pre>
 *   sample WORKLOAD SUBJECT NS      one measurement
 *   note WORKLOAD SUBJECT text      how it was measured, or why it was not; WORKLOAD may be *
 *   fact KEY text                   the machine, the versions, the flags
 * </pre>
 *
 * and passes over all others. One thread.
 */
final class Results {

    private record Pair(String workload, String subject) {}

    private final Map<Pair, List<Double>> samples = new LinkedHashMap<>();
    private final Map<Pair, Set<String>> notes = new LinkedHashMap<>();
    private final Map<String, String> facts = new LinkedHashMap<>();

    static Results read(Path file) throws IOException {
        Results results = new Results();
        for (String line : Files.readAllLines(file)) {
            results.add(line);
        }
        return results;
    }

    private void add(String line) {
        String[] words = line.split(" ", 4);
        switch (words[0]) {
            case "sample" -> {
                if (words.length == 4) {
                    samples.computeIfAbsent(new Pair(words[1], words[2]), _ -> new ArrayList<>())
                            .add(Double.parseDouble(words[3]));
                }
            }
            case "note" -> {
                if (words.length == 4) {
                    notes.computeIfAbsent(new Pair(words[1], words[2]), _ -> new LinkedHashSet<>()).add(words[3]);
                }
            }
            case "fact" -> {
                String[] parts = line.split(" ", 3);
                facts.put(parts[1], parts.length == 3 ? parts[2] : "");
            }
            default -> {}
        }
    }

    /** The figure, if there was at least one sample. */
    Optional<Figure> figure(String workload, String subject) {
        return Optional.ofNullable(samples.get(new Pair(workload, subject))).map(Figure::of);
    }

    /** All notes on the pair, in the order in which they came; empty if there are none. */
    String note(String workload, String subject) {
        Set<String> all = new LinkedHashSet<>(notes.getOrDefault(new Pair(workload, subject), Set.of()));
        all.addAll(notes.getOrDefault(new Pair("*", subject), Set.of()));
        return String.join("; ", all);
    }

    /** The workloads and subjects with samples whose subject is a variant, {@code name+variant}: not for the table. */
    List<String[]> variants() {
        return samples.keySet().stream()
                .filter(pair -> pair.subject.contains("+"))
                .map(pair -> new String[] {pair.workload, pair.subject})
                .toList();
    }

    String fact(String key) {
        return facts.getOrDefault(key, "unknown");
    }

    Map<String, String> facts() {
        return facts;
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Every example of the documentation compiles, and nothing in it is deprecated or unchecked. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class ExamplesTest {
    private static final Path SOURCES = Path.of(System.getProperty("weft.source.dir", "src/main/java/io/weft"));
    private static final String SNIPPET = "{@snippet :";

    @TempDir
    Path folder;

    @Test
    void everyExampleCompiles() throws Exception {
        List<String> options = new ArrayList<>(List.of(
                "-Xlint:all", "-Werror", "-Xlint:-try", "-d", folder.toString(),
                "-cp", System.getProperty("java.class.path")));
        List<Path> units = new ArrayList<>();
        int count = 0;
        try (var files = Files.list(SOURCES)) {
            for (Path file : files.filter(name -> name.toString().endsWith(".java")).sorted().toList()) {
                for (String example : examples(Files.readString(file))) {
                    count++;
                    units.add(write(count, example));
                }
            }
        }
        assertTrue(count >= 8, "only " + count + " examples were found");
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter output = new StringWriter();
        boolean compiled = compiler.getTask(
                        output, null, null, options, null,
                        compiler.getStandardFileManager(null, null, null).getJavaFileObjectsFromPaths(units))
                .call();
        assertEquals("", output.toString());
        assertTrue(compiled);
    }

    /** The text of each snippet, up to the brace that closes it, without the comment's margin. */
    private static List<String> examples(String source) {
        List<String> examples = new ArrayList<>();
        for (int at = source.indexOf(SNIPPET); at >= 0; at = source.indexOf(SNIPPET, at + 1)) {
            int begin = at + SNIPPET.length();
            int end = begin;
            for (int depth = 1; depth > 0; end++) {
                depth += source.charAt(end) == '{' ? 1 : source.charAt(end) == '}' ? -1 : 0;
            }
            examples.add(source.substring(begin, end - 1).replaceAll("(?m)^ *\\* ?", ""));
        }
        return examples;
    }

    private Path write(int number, String example) throws Exception {
        String name = "Example" + number;
        return Files.writeString(
                folder.resolve(name + ".java"),
                "import io.weft.*;\nimport java.time.Duration;\nclass " + name + " {\n    void run() throws Exception {\n" + example + "\n    }\n"
                        + "}\n");
    }
}

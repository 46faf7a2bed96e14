// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.StructLayout;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Holds the bindings against the C headers as the C compiler sees them. From the Java tables it writes C that declares
 * every bound function again, which the compiler rejects as "conflicting types" if it differs, and asserts the size of
 * every type, the offset and size of every field, and every constant. Needs no library, only {@code gcc}; the headers
 * are where the system property {@code weft.include.dir} says.
 */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class BindingsMatchHeadersTest {
    private static final Path INCLUDE = Path.of(System.getProperty("weft.include.dir", "../include")).toAbsolutePath();
    private static final String CC = System.getProperty("weft.cc", "gcc");
    private static final List<Class<?>> CALLS = List.of(
            AbiCalls.class, CgrpCalls.class, ChanCalls.class, ErrorCalls.class, JvmCalls.class, KthdCalls.class,
            LwtCalls.class, OpCalls.class, RingCalls.class, SelectCalls.class, TimerCalls.class);

    @TempDir
    Path folder;

    @BeforeAll
    static void fillTheTables() throws Exception {
        for (Class<?> calls : CALLS) {
            Class.forName(calls.getName(), true, calls.getClassLoader());
        }
    }

    @Test
    void everyBoundFunctionHasThePrototypeOfTheHeader() throws Exception {
        StringBuilder c = headers();
        for (Downcalls.Function function : Downcalls.functions()) {
            c.append(prototype(function)).append('\n');
        }
        assertCompiles(c);
    }

    @Test
    void everyTypeIsAsLargeAsTheLayoutThatCarriesIt() throws Exception {
        StringBuilder c = headers();
        for (CType type : CType.all()) {
            c.append(assertion("sizeof(" + type.c() + ") == " + type.layout().byteSize(), type.c()));
        }
        assertCompiles(c);
    }

    @Test
    void everyStructHasTheFieldsOfTheHeader() throws Exception {
        StringBuilder c = headers();
        Layouts.structs().forEach((name, layout) -> assertStruct(c, name, layout));
        c.append(assertion("_Alignof(struct weft_op) <= " + Layouts.OP_ALIGNMENT, "alignment of struct weft_op"));
        assertCompiles(c);
    }

    @Test
    void everyConstantHasTheValueOfTheHeader() throws Exception {
        StringBuilder c = headers().append("#include <errno.h>\n");
        for (Field constant : constants(Constants.class)) {
            c.append(assertion("WEFT_" + constant.getName() + " == " + constant.get(null), constant.getName()));
        }
        for (Field constant : constants(Errno.class)) {
            c.append(assertion(constant.getName() + " == " + constant.get(null), constant.getName()));
        }
        assertCompiles(c);
    }

    @Test
    void everyFunctionOfTheHeadersIsBoundOnce() throws Exception {
        Path declarations = folder.resolve("declarations");
        assertCompiles(headers(), "-aux-info", declarations.toString());
        // What is static is in the header itself, for C alone.
        Set<String> declared = found("extern .*\\b(weft_\\w+) \\(", Files.readString(declarations));
        List<String> bound =
                Downcalls.functions().stream().map(Downcalls.Function::name).toList();
        assertEquals(declared, new TreeSet<>(bound));
        assertEquals(declared.size(), bound.size(), "a function is bound twice");
    }

    @Test
    void everyEnumeratorAndStructOfTheHeadersIsInJava() throws Exception {
        Set<String> enumerators = new TreeSet<>();
        Set<String> structs = new TreeSet<>();
        for (Path header : headerFiles()) {
            String text = Files.readString(header).replaceAll("(?s)/\\*.*?\\*/", "");
            enumerators.addAll(found("\\bWEFT_(\\w+) = ", text));
            structs.addAll(found("\\b(struct weft_\\w+) \\{", text));
        }
        Set<String> constants =
                constants(Constants.class).stream().map(Field::getName).collect(Collectors.toSet());
        enumerators.removeAll(constants);
        assertEquals(Set.of(), enumerators);
        assertEquals(structs, new TreeSet<>(Layouts.structs().keySet()));
    }

    @Test
    void aWrongPrototypeIsNoticed() throws Exception {
        Downcalls.Function wrong =
                new Downcalls.Function("weft_chan_close", CType.INT, List.of(CType.CGRP), false);
        Path file = write(headers().append(prototype(wrong)));
        StringBuilder output = new StringBuilder();
        assertNotEquals(0, gcc(file, output));
        assertTrue(output.toString().contains("conflicting types"), output.toString());
    }

    private static String prototype(Downcalls.Function function) {
        String parameters = function.parameters().isEmpty()
                ? "void"
                : function.parameters().stream().map(CType::c).collect(Collectors.joining(", "));
        return function.result().c() + " " + function.name() + "(" + parameters + ");";
    }

    private static void assertStruct(StringBuilder c, String name, StructLayout layout) {
        c.append(assertion("sizeof(" + name + ") == " + layout.byteSize(), name));
        assertFields(c, name, "", layout, layout);
    }

    private static void assertFields(StringBuilder c, String name, String prefix, StructLayout top, GroupLayout group) {
        for (MemoryLayout field : group.memberLayouts()) {
            String path = prefix + field.name().orElseThrow();
            PathElement[] steps = Pattern.compile("\\.")
                    .splitAsStream(path)
                    .map(PathElement::groupElement)
                    .toArray(PathElement[]::new);
            String where = name + ", " + path;
            c.append(assertion("offsetof(" + name + ", " + path + ") == " + top.byteOffset(steps), where));
            c.append(assertion("sizeof(((" + name + " *)0)->" + path + ") == " + field.byteSize(), where));
            if (field instanceof GroupLayout inner) {
                assertFields(c, name, path + ".", top, inner);
            }
        }
    }

    private static String assertion(String condition, String what) {
        return "_Static_assert(" + condition + ", \"" + what.replace("\"", "'") + "\");\n";
    }

    private static List<Field> constants(Class<?> holder) {
        List<Field> constants = new ArrayList<>();
        for (Field field : holder.getDeclaredFields()) {
            if (Modifier.isPublic(field.getModifiers())) {
                constants.add(field);
            }
        }
        return constants;
    }

    private static Set<String> found(String pattern, String text) {
        Set<String> names = new TreeSet<>();
        Matcher matcher = Pattern.compile(pattern).matcher(text);
        while (matcher.find()) {
            names.add(matcher.group(1));
        }
        return names;
    }

    private static List<Path> headerFiles() throws IOException {
        try (var files = Files.list(INCLUDE.resolve("weft"))) {
            return files.filter(file -> file.toString().endsWith(".h")).sorted().toList();
        }
    }

    private static StringBuilder headers() throws IOException {
        StringBuilder c = new StringBuilder("#include <weft.h>\n");
        for (Path header : headerFiles()) {
            c.append("#include <weft/").append(header.getFileName()).append(">\n");
        }
        return c;
    }

    private void assertCompiles(StringBuilder c, String... options) throws Exception {
        StringBuilder output = new StringBuilder();
        assertEquals(0, gcc(write(c), output, options), output::toString);
    }

    private Path write(StringBuilder c) throws IOException {
        return Files.writeString(folder.resolve("bindings.c"), c);
    }

    private static int gcc(Path file, StringBuilder output, String... options) throws Exception {
        List<String> command =
                new ArrayList<>(List.of(CC, "-std=gnu11", "-Wall", "-fsyntax-only", "-I", INCLUDE.toString()));
        command.addAll(List.of(options));
        command.add(file.toString());
        Process gcc = new ProcessBuilder(command).redirectErrorStream(true).start();
        output.append(new String(gcc.getInputStream().readAllBytes()));
        return gcc.waitFor();
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A test's case in a JVM of its own: {@code ForkedJvm.of(HereIT.class, "caseName", args).flag(...).run().expectOk()}
 * runs the static method {@code caseName(String[])} of that class in a new process. What is tested here may hang or
 * crash a JVM, or needs flags of its own; the JVM that runs the tests must survive it and tell what happened.
 *
 * <p>Owns the process, its time limit, the limit on its output, and the folder for what it leaves behind. A JVM that
 * hangs shows its stacks (by {@code jcmd}, and the kernel's view of each thread, since a hung safepoint keeps jcmd
 * from answering) before it is killed; one that crashes, the head of its error report. The report is part of the
 * {@link AssertionError} that a failed expectation throws.
 *
 * <p>System properties: {@code weft.test.jdk}, the JDK to run (else the present one); {@code weft.stress.seconds},
 * {@code weft.library.dir} and {@code weft.tmpdir} are passed on.
 */
final class ForkedJvm {
    private static final int OUTPUT_LIMIT = 512 << 10;
    private static final int REPORT_LIMIT = 24 << 10;
    private static final List<String> PASSED_ON =
            List.of("weft.stress.seconds", "weft.library.dir", "weft.tmpdir");

    private final List<String> wrapper = new ArrayList<>();
    private final List<String> flags = new ArrayList<>();
    private final List<String> program;
    private final Map<String, String> environment = new TreeMap<>();
    private Duration limit = Duration.ofSeconds(60);
    private boolean hangExpected;

    private ForkedJvm(Class<?> holder, String method, String... args) {
        program = new ArrayList<>(List.of(Main.class.getName(), holder.getName(), method));
        program.addAll(List.of(args));
    }

    static ForkedJvm of(Class<?> holder, String method, String... args) {
        return new ForkedJvm(holder, method, args);
    }

    /** Adds flags for the JVM. */
    ForkedJvm flag(String... more) {
        flags.addAll(List.of(more));
        return this;
    }

    ForkedJvm environment(String name, String value) {
        environment.put(name, value);
        return this;
    }

    /** Puts a command in front of the JVM's: one that sets limits and then executes it. */
    ForkedJvm wrappedBy(String... command) {
        wrapper.addAll(List.of(command));
        return this;
    }

    /** How long the JVM may take, from its start to its end. */
    ForkedJvm within(Duration time) {
        limit = time;
        return this;
    }

    /** It is to hang: a JVM that does not end in this time is killed without asking why. */
    ForkedJvm expectingToHang(Duration time) {
        hangExpected = true;
        return within(time);
    }

    /** Starts the JVM and waits for its end. */
    Result run() throws IOException, InterruptedException {
        return start().await();
    }

    Running start() throws IOException {
        return new Running(this);
    }

    static Path jdk() {
        return Path.of(System.getProperty("weft.test.jdk", System.getProperty("java.home")));
    }

    private List<String> command(Path folder) {
        List<String> command = new ArrayList<>(wrapper);
        command.add(jdk().resolve("bin/java").toString());
        command.addAll(List.of(
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx512m",
                "-XX:ErrorFile=" + folder.resolve("hs_err.log"),
                "-XX:-CreateCoredumpOnCrash",
                "-cp",
                System.getProperty("java.class.path")));
        for (String name : PASSED_ON) {
            if (System.getProperty(name) != null) {
                command.add("-D" + name + "=" + System.getProperty(name));
            }
        }
        command.addAll(flags);
        command.addAll(program);
        return command;
    }

    /** How a JVM ended. */
    record Result(int exitCode, boolean timedOut, String output, String report) {
        /** It ended by itself with 0. */
        Result expectOk() {
            return expectExit(0);
        }

        /** It ended by itself with this exit code. */
        Result expectExit(int code) {
            if (timedOut || exitCode != code) {
                throw failed("expected exit code " + code);
            }
            return this;
        }

        /** It did not end: the test with the mechanism switched off, say. */
        Result expectHang() {
            if (!timedOut) {
                throw failed("expected it to hang");
            }
            return this;
        }

        Result expectOutput(String part) {
            if (!output.contains(part)) {
                throw failed("expected the output to contain: " + part);
            }
            return this;
        }

        Result expectNoOutput(String part) {
            if (output.contains(part)) {
                throw failed("expected the output not to contain: " + part);
            }
            return this;
        }

        /** The number after {@code name=} in the output. */
        long number(String name) {
            int at = output.lastIndexOf(name + "=");
            if (at < 0) {
                throw failed("expected the output to contain: " + name + "=");
            }
            int from = at + name.length() + 1;
            int to = from;
            while (to < output.length() && (Character.isDigit(output.charAt(to)) || output.charAt(to) == '-')) {
                to++;
            }
            return Long.parseLong(output.substring(from, to));
        }

        AssertionError failed(String expectation) {
            String how = timedOut ? "it hung" : "it ended with " + exitCode;
            return new AssertionError(expectation + "; " + how + "\n---- output\n" + tail(output)
                    + (report.isEmpty() ? "" : "\n---- report\n" + report));
        }
    }

    /** A JVM on its way. */
    static final class Running implements AutoCloseable {
        private final long deadline;
        private final boolean hangExpected;
        private final Path folder;
        private final Process process;
        private final Output output;

        private Running(ForkedJvm jvm) throws IOException {
            deadline = System.nanoTime() + jvm.limit.toNanos();
            hangExpected = jvm.hangExpected;
            folder = Files.createTempDirectory("weft-jvm-");
            ProcessBuilder builder = new ProcessBuilder(jvm.command(folder)).redirectErrorStream(true);
            builder.directory(folder.toFile());
            builder.environment().putAll(jvm.environment);
            builder.redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
            process = builder.start();
            output = new Output(process);
        }

        long pid() {
            return process.pid();
        }

        /** Where it runs, and leaves files behind; gone after {@link #await}. */
        Path folder() {
            return folder;
        }

        boolean isAlive() {
            return process.isAlive();
        }

        /** What it has written so far. */
        String output() {
            return output.text();
        }

        /** Waits until it has written this. */
        void awaitOutput(String part) throws IOException, InterruptedException {
            while (!output.text().contains(part)) {
                if (!process.isAlive() || System.nanoTime() > deadline) {
                    throw await().failed("expected the output to contain: " + part);
                }
                Thread.sleep(10);
            }
        }

        /** Runs jcmd on it, and gives what jcmd says. */
        String jcmd(String... words) throws IOException, InterruptedException {
            List<String> command = new ArrayList<>();
            command.add(jdk().resolve("bin/jcmd").toString());
            command.add(Long.toString(process.pid()));
            command.addAll(List.of(words));
            return outputOf(command, Duration.ofSeconds(20));
        }

        Result await() throws IOException, InterruptedException {
            boolean ended = process.waitFor(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS)
                    && !output.exceeded();
            String report = "";
            if (!ended) {
                report = hangExpected ? "" : head(hangReport());
                process.destroyForcibly().waitFor();
            }
            output.join();
            Path errors = folder.resolve("hs_err.log");
            if (Files.exists(errors)) {
                report += head(Files.readString(errors, StandardCharsets.ISO_8859_1));
            }
            Result result = new Result(process.exitValue(), !ended, output.text(), report);
            close();
            return result;
        }

        /** Kills it if it still runs, and removes what it left. */
        @Override
        public void close() throws IOException {
            process.destroyForcibly();
            if (!Files.exists(folder)) {
                return;
            }
            List<Path> paths;
            try (Stream<Path> walk = Files.walk(folder)) {
                paths = new ArrayList<>(walk.toList());
            }
            for (Path path : paths.reversed()) {
                Files.deleteIfExists(path);
            }
        }

        /** What keeps it from going on, as far as the VM and the kernel will tell. */
        private String hangReport() throws IOException, InterruptedException {
            StringBuilder text = new StringBuilder("kernel threads: name, state, system call, where it waits\n");
            Path tasks = Path.of("/proc/" + process.pid() + "/task");
            try (Stream<Path> list = Files.list(tasks)) {
                for (Path task : list.limit(400).toList()) {
                    text.append("  ").append(task.getFileName()).append(' ').append(word(task.resolve("comm")));
                    text.append(" | ").append(word(task.resolve("stat")).replaceFirst(".*\\) (.).*", "$1"));
                    text.append(" | ").append(word(task.resolve("syscall")).replaceFirst(" .*", ""));
                    text.append(" | ").append(word(task.resolve("wchan"))).append('\n');
                }
            } catch (IOException e) {
                text.append("  ").append(e).append('\n');
            }
            text.append("jcmd Thread.print\n").append(jcmd("Thread.print"));
            return text.toString();
        }

        private static String word(Path file) {
            try {
                return Files.readString(file).trim();
            } catch (IOException e) {
                return "?";
            }
        }
    }

    /** Reads a process's output as it comes, up to the limit; beyond it the process is killed. */
    private static final class Output {
        private final StringBuilder text = new StringBuilder();
        private final Thread reader;
        private boolean exceeded;

        Output(Process process) {
            reader = Thread.ofPlatform().daemon().name("output of " + process.pid()).start(() -> read(process));
        }

        private void read(Process process) {
            byte[] buffer = new byte[8192];
            try (InputStream in = process.getInputStream()) {
                int n;
                while ((n = in.read(buffer)) >= 0) {
                    if (!add(new String(buffer, 0, n, StandardCharsets.ISO_8859_1))) {
                        process.destroyForcibly();
                        return;
                    }
                }
            } catch (IOException e) {
                add("\n[output ends: " + e + "]\n");
            }
        }

        private synchronized boolean add(String more) {
            exceeded |= text.length() + more.length() > OUTPUT_LIMIT;
            text.append(exceeded ? "\n[more output than " + OUTPUT_LIMIT + " bytes: killed]\n" : more);
            return !exceeded;
        }

        synchronized String text() {
            return text.toString();
        }

        synchronized boolean exceeded() {
            return exceeded;
        }

        void join() throws InterruptedException {
            reader.join(10_000);
        }
    }

    /** Runs a command with a time limit of its own and gives its output; a failure to run it is told in the output. */
    static String outputOf(List<String> command, Duration time) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        Output output = new Output(process);
        boolean ended = process.waitFor(time.toMillis(), TimeUnit.MILLISECONDS);
        if (!ended) {
            process.destroyForcibly(); // closes the pipe as well: what is in it would be lost
        }
        output.join();
        return output.text() + (ended ? "" : "\n[" + command.getFirst() + " did not answer in " + time + "]\n");
    }

    private static String head(String text) {
        return text.length() <= REPORT_LIMIT ? text : text.substring(0, REPORT_LIMIT) + "\n[cut]\n";
    }

    private static String tail(String text) {
        return text.length() <= REPORT_LIMIT ? text : "[cut]\n" + text.substring(text.length() - REPORT_LIMIT);
    }

    /** What runs in the new JVM: the method that was asked for. Returns when that does, so that the VM's end is the
     * ordinary one; a thread that a case leaves behind, and is no daemon, shows as a hang. */
    static final class Main {
        private Main() {}

        public static void main(String[] args) throws Throwable {
            Method method = Class.forName(args[0]).getDeclaredMethod(args[1], String[].class);
            method.setAccessible(true);
            String[] rest = new String[args.length - 2];
            System.arraycopy(args, 2, rest, 0, rest.length);
            try {
                method.invoke(null, (Object) rest);
            } catch (InvocationTargetException e) {
                e.getCause().printStackTrace();
                System.exit(1);
            }
        }
    }
}

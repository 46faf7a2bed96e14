// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.weft.Kthd;
import io.weft.LongChan;
import io.weft.WeftUnavailableException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Where the native library comes from and what is said when it does not come. A process loads it once, so that each
 * case runs in a JVM of its own, by {@link #main}.
 */
@Timeout(value = 120, unit = TimeUnit.SECONDS)
class LibraryTest {
    @TempDir
    Path folder;

    /** Uses weft three times and prints what came of it, once if it is the same each time. */
    public static void main(String[] args) {
        System.out.println(outcome(() -> Kthd.start().close()));
        System.out.println(outcome(() -> LongChan.create(0).close()));
        System.out.println(outcome(AbiCalls::version));
    }

    private static String outcome(Runnable use) {
        try {
            use.run();
            return "works";
        } catch (WeftUnavailableException | LibraryException e) {
            return e.getMessage();
        }
    }

    @Test
    void theJarsLibraryIsExtractedLoadedAndRemoved() throws Exception {
        assumeTrue(LibraryTest.class.getResource(Library.RESOURCE) != null, "the library is not on the class path");
        assertEquals("works", run("-Dweft.tmpdir=" + folder));
        assertTrue(isEmpty(folder), "something was left behind");
    }

    @Test
    void aFolderCanBeNamed() throws Exception {
        extractTo(folder);
        assertEquals("works", run("-Dweft.library.dir=" + folder));
    }

    @Test
    void aNamedFolderWithoutTheLibraryIsNamed() throws Exception {
        String message = run("-Dweft.library.dir=" + folder);
        assertTrue(message.contains("weft.library.dir") && message.contains(folder.toString()), message);
    }

    @Test
    void aFileThatIsNoLibraryIsRefused() throws Exception {
        Files.writeString(folder.resolve(Library.FILE), "not an object file");
        String message = run("-Dweft.library.dir=" + folder);
        assertTrue(message.startsWith("weft could not load its native library"), message);
    }

    @Test
    void aLibraryThatIsNotWeftsIsRefused() throws Exception {
        compile("int something_else(void) { return 1; }");
        String message = run("-Dweft.library.dir=" + folder);
        assertTrue(message.contains("is not weft's"), message);
    }

    @Test
    void aLibraryOfAnotherVersionIsRefused() throws Exception {
        compile("int weft_abi_version(void) { return 99; }");
        String message = run("-Dweft.library.dir=" + folder);
        assertTrue(message.contains("version 99") && message.contains("version " + Constants.ABI_VERSION), message);
    }

    @Test
    void anotherPlatformIsRefusedInOneSentence() throws Exception {
        assertEquals("weft runs on Linux on x86-64; this is Linux on aarch64", run("-Dos.arch=aarch64"));
        assertThrows(LibraryException.class, () -> Library.requirePlatform("Mac OS X", "x86_64"));
    }

    @Test
    void aMissingTemporaryFolderIsNamedWithTheProperty() throws Exception {
        Path missing = folder.resolve("missing");
        String message = run("-Dweft.tmpdir=" + missing);
        assertTrue(message.contains(missing.toString()) && message.contains("weft.tmpdir"), message);
    }

    @Test
    void aNoexecTemporaryFolderIsNamedWithTheProperty() throws Exception {
        assumeTrue(LibraryTest.class.getResource(Library.RESOURCE) != null, "the library is not on the class path");
        List<String> mount = List.of(
                "unshare", "-m", "sh", "-c", "mount -t tmpfs -o noexec tmpfs " + folder + " && exec \"$@\"", "sh");
        assumeTrue(exitCode(mount, "true") == 0, "this process may not mount");
        String message = run(mount, "-Dweft.tmpdir=" + folder);
        assertTrue(message.contains("noexec") && message.contains("weft.tmpdir"), message);
        String named = run(
                List.of("unshare", "-m", "sh", "-c",
                        "mount -t tmpfs -o noexec tmpfs " + folder + " && cp " + library() + " "
                                + folder.resolve(Library.FILE) + " && exec \"$@\"",
                        "sh"),
                "-Dweft.library.dir=" + folder);
        assertTrue(named.contains("noexec") && named.contains("weft.library.dir"), named);
    }

    @Test
    void whatIsExtractedIsPrivateAndWhole() throws Exception {
        String resource = "/" + LibraryTest.class.getName().replace('.', '/') + ".class";
        Path file;
        try (Extraction extraction = Extraction.of(resource, "copy", folder);
                var in = LibraryTest.class.getResourceAsStream(resource)) {
            file = extraction.file();
            assertEquals("r-x------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
            assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file.getParent())));
            assertArrayEquals(in.readAllBytes(), Files.readAllBytes(file));
        }
        assertFalse(Files.exists(file.getParent()));
    }

    @Test
    void aFileThatWasChangedIsRefused() throws Exception {
        Path file = Files.writeString(folder.resolve("changed"), "changed");
        assertThrows(LibraryException.class, () -> Extraction.requireSame("original".getBytes(), file));
        Extraction.requireSame("changed".getBytes(), file);
    }

    @Test
    void aMissingResourceLeavesNothingBehind() throws Exception {
        assertThrows(LibraryException.class, () -> Extraction.of("/no/such/resource", "copy", folder));
        assertTrue(isEmpty(folder));
    }

    /** Runs {@link #main} and gives the one line that it printed three times. */
    private static String run(String... flags) throws Exception {
        return run(List.of(), flags);
    }

    private static String run(List<String> wrapper, String... flags) throws Exception {
        List<String> command = new ArrayList<>(wrapper);
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path")));
        command.addAll(List.of(flags));
        command.add(LibraryTest.class.getName());
        // What the VM itself has to say on standard error is no part of it.
        Process jvm = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String output = new String(jvm.getInputStream().readAllBytes());
        assertEquals(0, jvm.waitFor(), output);
        List<String> lines = output.lines().distinct().toList();
        assertEquals(1, lines.size(), output);
        return lines.getFirst();
    }

    private static int exitCode(List<String> wrapper, String command) throws Exception {
        List<String> all = new ArrayList<>(wrapper);
        all.add(command);
        try {
            return new ProcessBuilder(all)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start()
                    .waitFor();
        } catch (IOException notInstalled) {
            return -1;
        }
    }

    /** A file with the library that this JVM itself would use. */
    private Path library() throws IOException {
        String named = System.getProperty(Library.DIRECTORY_PROPERTY);
        if (named != null) {
            return Path.of(named, Library.FILE);
        }
        Path copy = folder.resolveSibling(folder.getFileName() + ".so");
        try (var in = LibraryTest.class.getResourceAsStream(Library.RESOURCE)) {
            assumeTrue(in != null, "the library is not on the class path");
            Files.copy(in, copy, StandardCopyOption.REPLACE_EXISTING);
        }
        copy.toFile().deleteOnExit();
        return copy;
    }

    private void extractTo(Path target) throws IOException {
        Files.copy(library(), target.resolve(Library.FILE));
    }

    private void compile(String source) throws Exception {
        Path file = Files.writeString(folder.resolve("library.c"), source);
        Process gcc = new ProcessBuilder(
                        System.getProperty("weft.cc", "gcc"), "-shared", "-fPIC", "-o",
                        folder.resolve(Library.FILE).toString(), file.toString())
                .inheritIO()
                .start();
        assertEquals(0, gcc.waitFor());
    }

    private static boolean isEmpty(Path folder) throws IOException {
        try (var entries = Files.list(folder)) {
            return entries.findAny().isEmpty();
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Set;

/**
 * A file of the jar, copied to where the dynamic linker can map it, for as long as that takes. Another user of a
 * shared temporary folder must be able neither to put his own file in its place nor to change it:
 *
 * <ol>
 *   <li>a new folder of a random name is made with mode 0700 in the one call that makes it;
 *   <li>the file is created in it exclusively, with mode 0500;
 *   <li>it is read back, and its SHA-256 digest compared with that of the resource;
 *   <li>{@link #close} unlinks both; a mapping lives on.
 * </ol>
 */
final class Extraction implements AutoCloseable {
    private static final Set<PosixFilePermission> FOLDER_MODE = PosixFilePermissions.fromString("rwx------");
    private static final Set<PosixFilePermission> FILE_MODE = PosixFilePermissions.fromString("r-x------");
    private static final Path MOUNTS = Path.of("/proc/self/mounts");

    private final Path folder;
    private final Path file;

    private Extraction(Path folder, Path file) {
        this.folder = folder;
        this.file = file;
    }

    static Extraction of(String resource, String name, Path parent) throws IOException {
        byte[] content = read(resource);
        Path folder = Files.createTempDirectory(parent.toAbsolutePath(), "weft-", attribute(FOLDER_MODE));
        Extraction extraction = new Extraction(folder, folder.resolve(name));
        try {
            write(extraction.file, content);
            requireSame(content, extraction.file);
            return extraction;
        } catch (IOException | RuntimeException e) {
            extraction.close();
            throw e;
        }
    }

    Path file() {
        return file;
    }

    @Override
    public void close() throws IOException {
        Files.deleteIfExists(file);
        Files.deleteIfExists(folder);
    }

    /** Whether the file lies on a file system from which nothing may be mapped executable. */
    static boolean isNoexec(Path file) {
        String best = "";
        boolean noexec = false;
        try {
            for (String line : Files.readAllLines(MOUNTS)) {
                String[] fields = line.split(" ");
                // The last of several mounts on the longest prefix is the one that is seen.
                if (fields[1].length() >= best.length() && file.startsWith(fields[1])) {
                    best = fields[1];
                    noexec = Set.of(fields[3].split(",")).contains("noexec");
                }
            }
            return noexec;
        } catch (IOException e) {
            return false;
        }
    }

    private static byte[] read(String resource) throws IOException {
        try (InputStream in = Extraction.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new LibraryException("this jar carries no native library (" + resource + "); name a folder that"
                        + " holds " + Library.FILE + " by -D" + Library.DIRECTORY_PROPERTY + "=DIR", null);
            }
            return in.readAllBytes();
        }
    }

    private static void write(Path file, byte[] content) throws IOException {
        Set<StandardOpenOption> exclusively = Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        try (WritableByteChannel out = Files.newByteChannel(file, exclusively, attribute(FILE_MODE))) {
            ByteBuffer rest = ByteBuffer.wrap(content);
            while (rest.hasRemaining()) {
                out.write(rest);
            }
        }
    }

    static void requireSame(byte[] content, Path file) throws IOException {
        if (!MessageDigest.isEqual(sha256(content), sha256(Files.readAllBytes(file)))) {
            throw new LibraryException("the extracted native library differs from the one in the jar: " + file, null);
        }
    }

    private static byte[] sha256(byte[] content) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(content);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
    }

    private static FileAttribute<Set<PosixFilePermission>> attribute(Set<PosixFilePermission> mode) {
        return PosixFilePermissions.asFileAttribute(mode);
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Finds and loads {@code libweft.so}, once, when the class is initialised: from the folder that the property
 * {@value #DIRECTORY_PROPERTY} names, or else from the jar by way of {@link Extraction}. A failure is kept and given
 * to whoever asks for a symbol.
 */
public final class Library {
    /** Names a folder that holds {@value #FILE}; nothing is extracted then. */
    public static final String DIRECTORY_PROPERTY = "weft.library.dir";

    /** Names the folder to extract into; the system's temporary folder if it is not set. */
    public static final String TMPDIR_PROPERTY = "weft.tmpdir";

    static final String FILE = "libweft.so";
    static final String RESOURCE = "/META-INF/native/linux-x86_64/" + FILE;

    private static final SymbolLookup SYMBOLS;
    private static final LibraryException FAILURE;

    static {
        SymbolLookup symbols = null;
        LibraryException failure = null;
        try {
            requirePlatform(System.getProperty("os.name"), System.getProperty("os.arch"));
            load();
            symbols = SymbolLookup.loaderLookup();
            requireVersion(symbols);
        } catch (LibraryException e) {
            failure = e;
        } catch (RuntimeException | LinkageError e) {
            failure = new LibraryException("weft could not load its native library: " + e, e);
        }
        SYMBOLS = symbols;
        FAILURE = failure;
    }

    private Library() {}

    /** Why the library is not there; empty if it is. */
    public static Optional<LibraryException> failure() {
        return Optional.ofNullable(FAILURE);
    }

    /** The address of a function. Throws the kept {@link LibraryException} if there is no library. */
    static MemorySegment symbol(String name) {
        if (FAILURE != null) {
            throw FAILURE;
        }
        return SYMBOLS.find(name)
                .orElseThrow(() -> new LibraryException(
                        "the native library lacks the function " + name + ": it does not belong to this jar", null));
    }

    static void requirePlatform(String os, String arch) {
        boolean x86 = "amd64".equals(arch) || "x86_64".equals(arch);
        if (!"Linux".equals(os) || !x86) {
            throw new LibraryException("weft runs on Linux on x86-64; this is " + os + " on " + arch, null);
        }
    }

    private static void load() {
        String directory = System.getProperty(DIRECTORY_PROPERTY);
        if (directory == null) {
            loadFromJar();
        } else {
            loadFrom(directory);
        }
    }

    private static void loadFrom(String directory) {
        Path file = Path.of(directory, FILE).toAbsolutePath();
        if (!Files.isRegularFile(file)) {
            throw new LibraryException(
                    "the property " + DIRECTORY_PROPERTY + " names a folder without " + FILE + ": " + directory, null);
        }
        link(file, "name another folder by -D" + DIRECTORY_PROPERTY + "=DIR");
    }

    private static void loadFromJar() {
        Path parent = Path.of(System.getProperty(TMPDIR_PROPERTY, System.getProperty("java.io.tmpdir")));
        if (!Files.isDirectory(parent)) {
            throw new LibraryException("the folder to extract weft's native library into does not exist: " + parent
                    + " (name another by -D" + TMPDIR_PROPERTY + "=DIR)", null);
        }
        String remedy = "name another folder by -D" + TMPDIR_PROPERTY + "=DIR";
        try (Extraction extraction = Extraction.of(RESOURCE, FILE, parent)) {
            link(extraction.file(), remedy);
        } catch (IOException e) {
            throw new LibraryException(
                    "weft could not extract its native library into " + parent + ": " + e + "; " + remedy, e);
        }
    }

    /** Maps the file. The library stays when the file is unlinked afterwards. */
    @SuppressWarnings("restricted")
    private static void link(Path file, String remedy) {
        try {
            System.load(file.toString());
        } catch (UnsatisfiedLinkError e) {
            if (Extraction.isNoexec(file)) {
                throw new LibraryException("weft could not load its native library from " + file.getParent()
                        + ": that file system is mounted noexec; " + remedy, e);
            }
            throw new LibraryException("weft could not load its native library: " + e.getMessage(), e);
        }
    }

    /** Asks the library itself, by a handle of its own: those of {@link AbiCalls} need this class to be ready. */
    @SuppressWarnings("restricted")
    private static void requireVersion(SymbolLookup symbols) {
        MemorySegment symbol = symbols.find("weft_abi_version")
                .orElseThrow(() -> new LibraryException(FILE + " is not weft's: it has no weft_abi_version", null));
        int version;
        try {
            version = (int) Linker.nativeLinker()
                    .downcallHandle(symbol, FunctionDescriptor.of(ValueLayout.JAVA_INT))
                    .invokeExact();
        } catch (Throwable thrown) {
            throw Downcalls.unchecked(thrown);
        }
        if (version != Constants.ABI_VERSION) {
            throw new LibraryException("the native library has version " + version + " of the binary interface; this"
                    + " jar needs version " + Constants.ABI_VERSION, null);
        }
    }
}

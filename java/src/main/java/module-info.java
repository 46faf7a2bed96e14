// SPDX-License-Identifier: Apache-2.0

/**
 * Lightweight threads that are real {@link java.lang.Thread}s, and the channels they talk over.
 *
 * <p>{@code io.weft} is the whole API. The raw bindings to the C library, {@code io.weft.ffi}, are exported to nobody:
 * they check nothing.
 *
 * <p>The module calls native code. Run with {@code --enable-native-access=io.weft} (on the class path:
 * {@code ALL-UNNAMED}), or the JVM prints a warning.
 */
module io.weft {
    exports io.weft;
}

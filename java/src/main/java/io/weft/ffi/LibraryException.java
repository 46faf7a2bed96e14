// SPDX-License-Identifier: Apache-2.0
package io.weft.ffi;

/**
 * The native library could not be loaded, and why. Made once, by {@link Library}; every use of a function throws it
 * again.
 */
public final class LibraryException extends RuntimeException {
    private static final long serialVersionUID = 1;

    LibraryException(String sentence, Throwable cause) {
        super(sentence, cause);
    }
}

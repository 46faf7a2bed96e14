// SPDX-License-Identifier: Apache-2.0
package io.weft;

/**
 * What weft could not do. Each meaning that a program may want to tell from the others has a subclass; the message is
 * a whole sentence.
 *
 * <p>Arguments that are wrong in themselves are refused by an {@link IllegalArgumentException} or a
 * {@link NullPointerException}, calls that are wrong at their time or place by an {@link IllegalStateException}.
 * Expected outcomes (full, empty, timed out) are not exceptions but results.
 */
public class WeftException extends RuntimeException {
    private static final long serialVersionUID = 1;

    WeftException(String message) {
        super(message);
    }

    WeftException(String message, Throwable cause) {
        super(message, cause);
    }
}

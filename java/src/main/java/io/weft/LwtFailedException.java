// SPDX-License-Identifier: Apache-2.0
package io.weft;

/**
 * The lwt that was joined ended by an exception or error, which is the {@linkplain #getCause() cause}. As with
 * {@link java.util.concurrent.ExecutionException} each join makes a new one, with the joiner's own stack trace.
 */
public final class LwtFailedException extends WeftException {
    private static final long serialVersionUID = 1;

    LwtFailedException(String name, Throwable cause) {
        super("lwt " + name + " failed: " + cause, cause);
    }
}

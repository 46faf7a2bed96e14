// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** The caller would have waited for itself, directly or through a chain of joins, and so for ever. */
public final class DeadlockException extends WeftException {
    private static final long serialVersionUID = 1;

    DeadlockException(String message) {
        super(message);
    }
}

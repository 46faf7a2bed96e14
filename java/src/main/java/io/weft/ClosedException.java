// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** The object was used after it had been closed, or was closed while a thread waited in it. */
public class ClosedException extends WeftException {
    private static final long serialVersionUID = 1;

    ClosedException(String message) {
        super(message);
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

/**
 * weft cannot run here: the platform or VM is not one it knows, or its native library could not be loaded. The message
 * is one sentence that says what is wrong and, where something can be done, what. The reason is found out once, and
 * every use of weft in the process throws it anew.
 */
public final class WeftUnavailableException extends WeftException {
    private static final long serialVersionUID = 1;

    WeftUnavailableException(String sentence, Throwable cause) {
        super(sentence, cause);
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** How many threads there are at an end of a channel: a promise, given to its {@linkplain AnyChan.Builder builder}. */
public enum Ends {
    /** One thread or lwt, the first that uses the end. Another one that tries gets an {@link IllegalStateException}. */
    ONE,

    /** Any number. */
    MANY
}

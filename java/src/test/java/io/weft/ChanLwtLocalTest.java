// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Channels between lwts of one kthd. */
class ChanLwtLocalTest extends ChanContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.LWT_LOCAL;
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Channels between lwts of two kthds. */
class ChanLwtRemoteTest extends ChanContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.LWT_REMOTE;
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Channels between virtual threads. */
class ChanVirtualTest extends ChanContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.VIRTUAL;
    }
}

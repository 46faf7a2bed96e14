// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Declared ends: virtual threads. */
class RingVirtualTest extends RingContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.VIRTUAL;
    }
}

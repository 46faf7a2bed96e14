// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Declared ends: platform threads. */
class RingPlatformTest extends RingContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.PLATFORM;
    }
}

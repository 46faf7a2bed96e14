// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Channels between platform threads. */
class ChanPlatformTest extends ChanContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.PLATFORM;
    }
}

// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Channels between adopted threads. */
class ChanAdoptedTest extends ChanContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.ADOPTED;
    }
}

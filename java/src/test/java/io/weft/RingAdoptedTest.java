// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Declared ends: adopted threads. */
class RingAdoptedTest extends RingContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.ADOPTED;
    }
}

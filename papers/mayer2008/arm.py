"""A simulated arm of four joints (MuJoCo) that a network steers: it reads where the tip is, and says where to next."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EXTRA = "the simulated arm needs MuJoCo: pip install 'carousel-lstm[mujoco]'"
CENTRE, SIZE = np.array([0.38, 0.0, 0.32]), 0.09
"""Where the figure's crossing lies before the arm, and how many metres its unit is."""

MODEL = """
<mujoco model="arm">
  <option timestep="0.002" gravity="0 0 -9.81" integrator="implicitfast"/>
  <default>
    <joint damping="0.5" armature="0.02"/>
    <geom type="capsule" density="400" contype="0" conaffinity="0"/>
    <position kp="2000" kv="40"/>
  </default>
  <worldbody>
    <body pos="0 0 0.2">
      <joint name="turn" axis="0 0 1"/>
      <geom size="0.03" fromto="0 0 -0.05 0 0 0"/>
      <body>
        <joint name="shoulder" axis="0 1 0"/>
        <geom size="0.025" fromto="0 0 0 0 0 0.32"/>
        <body pos="0 0 0.32">
          <joint name="elbow" axis="0 1 0"/>
          <geom size="0.02" fromto="0 0 0 0 0 0.28"/>
          <body pos="0 0 0.28">
            <joint name="wrist" axis="0 1 0"/>
            <geom size="0.015" fromto="0 0 0 0 0 0.1"/>
            <site name="tip" pos="0 0 0.1"/>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position joint="turn"/>
    <position joint="shoulder"/>
    <position joint="elbow"/>
    <position joint="wrist"/>
  </actuator>
</mujoco>
"""
AT_EASE = np.array([0.0, 0.3, 1.5, 0.4])


class Arm:
    """The arm at rest with its tip at a place, in the figure's units; `step` moves the tip towards another.

    Nothing is drawn, so that no display is needed. Raises ImportError, with the extra to install, without mujoco.
    """

    def __init__(self, place: Floats, substeps: int = 20) -> None:
        try:
            import mujoco
        except ImportError as error:
            raise ImportError(EXTRA) from error

        self._mujoco: Any = mujoco
        self._model: Any = mujoco.MjModel.from_xml_string(MODEL)
        self._data: Any = mujoco.MjData(self._model)
        self._planned: Any = mujoco.MjData(self._model)
        self._substeps = substeps
        self._planned.qpos[:] = AT_EASE
        for _ in range(200):
            self._reach(place)
        self._data.qpos[:] = self._data.ctrl[:] = self._planned.qpos
        mujoco.mj_forward(self._model, self._data)

    @property
    def tip(self) -> Floats:
        """Where the tip is, (3,), in the figure's units."""
        return (self._data.site("tip").xpos.copy() - CENTRE) / SIZE

    def step(self, place: Floats) -> Floats:
        """Steer towards a place for one step of the network; where the tip then is."""
        for _ in range(3):
            self._reach(place)
        self._data.ctrl[:] = self._planned.qpos
        for _ in range(self._substeps):
            self._data.qfrc_applied[:] = self._data.qfrc_bias
            self._mujoco.mj_step(self._model, self._data)
        return self.tip

    def _reach(self, place: Floats, damping: float = 0.02) -> None:
        """One step of damped least squares of the planned joints towards a place (Wampler 1986)."""
        model, planned = self._model, self._planned
        self._mujoco.mj_kinematics(model, planned)
        self._mujoco.mj_comPos(model, planned)
        jacobian = np.zeros((3, model.nv))
        self._mujoco.mj_jacSite(model, planned, jacobian, None, model.site("tip").id)
        missing = CENTRE + SIZE * place - planned.site("tip").xpos
        planned.qpos[:] += jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + damping**2 * np.eye(3), missing)

from setuptools import setup

setup(
    name="helpers",
    version="0.1",
    description="The second package of the drop pair",
    packages=["helpers"],
    python_requires=">=3.7",
)
